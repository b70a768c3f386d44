"""`GET /{account}/{dataset}/tail`: the newest rows."""

import threading
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from kamu_assets.query.history.model import Door
from kamu_assets.query.model import DataFormat
from kamu_gateway.edge.datasets import DATASET, Admitted, DatasetRoute
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.origin import origin_at
from kamu_gateway.edge.outgoing import SentAnswer
from kamu_gateway.edge.threads import query_while_connected
from kamu_gateway.rest.answers import output_of
from kamu_gateway.rest.documents import REFUSED, Rows
from kamu_gateway.rest.query_form import CountInUrl, LenientFormat, LenientSchemaFormat

router = APIRouter(route_class=DatasetRoute)


@router.api_route(
    f"{DATASET}/tail",
    methods=["GET", "HEAD"],
    operation_id="dataset_tail_handler",
    summary="The newest rows, oldest of them first",
    tags=["odf-query"],
    responses={200: {"model": Rows}, **REFUSED},
)
async def tail(
    *,
    request: Request,
    admitted: Admitted,
    node: CurrentNode,
    skip: Annotated[CountInUrl, Query()] = 0,
    limit: Annotated[CountInUrl | None, Query()] = None,
    data_format: Annotated[LenientFormat, Query(alias="dataFormat")] = DataFormat.JSON_AOS,
    schema_format: Annotated[LenientSchemaFormat, Query(alias="schemaFormat")] = None,
) -> Response:
    def answer(left: threading.Event) -> bytes:
        caller, dataset = admitted.caller, admitted.dataset.id
        found = node.query.tail(
            caller,
            dataset,
            skip=skip,
            limit=limit,
            data_format=data_format,
            cancel=left,
            origin=origin_at(Door.REST_TAIL),
        )
        return output_of(found, schema_format)

    return SentAnswer(request, await query_while_connected(request, answer))
