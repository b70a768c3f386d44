"""`GET /{account}/{dataset}/tail`: the newest rows."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kamu_assets.query.model import DataFormat
from kamu_gateway.edge.datasets import DATASET, Admitted, DatasetRoute
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.threads import query_while_connected
from kamu_gateway.rest.query_form import Count, LenientFormat, LenientSchemaFormat, refuse_schema

router = APIRouter(route_class=DatasetRoute)


@router.api_route(f"{DATASET}/tail", methods=["GET", "HEAD"])
async def tail(
    *,
    request: Request,
    admitted: Admitted,
    node: CurrentNode,
    skip: Annotated[Count, Query()] = 0,
    limit: Annotated[Count | None, Query()] = None,
    data_format: Annotated[LenientFormat, Query(alias="dataFormat")] = DataFormat.JSON_AOS,
    schema_format: Annotated[LenientSchemaFormat, Query(alias="schemaFormat")] = None,
) -> Response:
    refuse_schema(schema_format)
    found = await query_while_connected(
        request,
        lambda left: node.query.tail(
            admitted.caller, admitted.dataset.id, skip=skip, limit=limit, data_format=data_format, cancel=left
        ),
    )
    shape = found.data_format.value.encode()
    return Response(b'{"data":%b,"dataFormat":"%b"}' % (found.data, shape), media_type="application/json")
