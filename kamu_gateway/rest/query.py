"""`GET|POST /query`: SQL over the datasets that the caller may read."""

import threading
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from kamu_assets.auth.model import Caller
from kamu_assets.node import Node
from kamu_assets.query.formats.schemas import SchemaFormat
from kamu_assets.query.history.model import Door
from kamu_assets.query.model import DataFormat
from kamu_gateway.edge.caller import LenientCaller
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.form_errors import reason
from kamu_gateway.edge.json_body import read_json
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.outgoing import SentAnswer
from kamu_gateway.edge.threads import query_while_connected
from kamu_gateway.rest.answers import answer_of, run
from kamu_gateway.rest.documents import REFUSED, QueryAnswer
from kamu_gateway.rest.openapi import body, choices
from kamu_gateway.rest.query_form import CountInUrl, Dialect, Include, QueryForm, includes

router = APIRouter()

_INCLUDE: Final = f"any of {','.join(Include)}, in any case"


async def form_in_body(request: Request) -> QueryForm:
    """The question as a JSON document."""
    return await read_json(request, QueryForm)


async def form_in_url(
    *,
    query: Annotated[str, Query()],
    query_dialect: Annotated[str | None, Query(alias="queryDialect", json_schema_extra=choices(Dialect))] = None,
    data_format: Annotated[str | None, Query(alias="dataFormat", json_schema_extra=choices(DataFormat))] = None,
    format_: Annotated[str | None, Query(alias="format", description="the same as dataFormat")] = None,
    include: Annotated[str | None, Query(description=_INCLUDE)] = None,
    schema_format: Annotated[str | None, Query(alias="schemaFormat", json_schema_extra=choices(SchemaFormat))] = None,
    skip: Annotated[CountInUrl, Query()] = 0,
    limit: Annotated[CountInUrl | None, Query()] = None,
) -> QueryForm:
    """The question as a query string."""
    given = {"queryDialect": query_dialect, "dataFormat": data_format or format_, "schemaFormat": schema_format}
    texts = {name: text for name, text in given.items() if text is not None}
    try:
        return QueryForm.model_validate(
            {"query": query, "include": includes(include), "skip": skip, "limit": limit, **texts}
        )
    except ValidationError as error:
        text = f"Failed to deserialize query string: {reason(error.errors()[0])}"
        raise TextAnswerError(400, text) from error


@router.api_route(
    "/query",
    methods=["GET", "HEAD"],
    operation_id="query_handler",
    summary="Ask in SQL, as a query string",
    tags=["odf-query"],
    responses={200: {"model": QueryAnswer}, **REFUSED},
)
async def query_by_get(
    request: Request, form: Annotated[QueryForm, Depends(form_in_url)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, form, caller, node)


@router.post(
    "/query",
    operation_id="query_handler_post",
    summary="Ask in SQL",
    tags=["odf-query"],
    responses={200: {"model": QueryAnswer}, **REFUSED},
    openapi_extra=body(QueryForm),
)
async def query_by_post(
    request: Request, form: Annotated[QueryForm, Depends(form_in_body)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, form, caller, node)


async def _answer(request: Request, form: QueryForm, caller: Caller, node: Node) -> Response:
    asked = form.filled()

    def answer(left: threading.Event) -> bytes:
        # What is signed has to come out the same when somebody asks again.
        is_signed = Include.PROOF in asked.include
        found = run(node, caller, asked, is_repeatable=is_signed, cancel=left, door=Door.REST_QUERY)
        return answer_of(asked, found, node.key)

    return SentAnswer(request, await query_while_connected(request, answer))
