"""`GET|POST /query`: SQL over the datasets that the caller may read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import ValidationError

from kamu_assets.auth.model import Caller
from kamu_assets.node import Node
from kamu_assets.query.model import QueryRequest
from kamu_gateway.edge.caller import LenientCaller
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.json_body import read_json
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.threads import query_while_connected
from kamu_gateway.rest.query_form import Count, QueryForm, includes

router = APIRouter()


async def form_in_body(request: Request) -> QueryForm:
    """The question as a JSON document."""
    return await read_json(request, QueryForm)


async def form_in_url(
    *,
    query: Annotated[str, Query()],
    query_dialect: Annotated[str | None, Query(alias="queryDialect")] = None,
    data_format: Annotated[str | None, Query(alias="dataFormat")] = None,
    format_: Annotated[str | None, Query(alias="format")] = None,
    include: Annotated[str | None, Query()] = None,
    schema_format: Annotated[str | None, Query(alias="schemaFormat")] = None,
    skip: Annotated[Count, Query()] = 0,
    limit: Annotated[Count | None, Query()] = None,
) -> QueryForm:
    """The question as a query string."""
    given = {"query_dialect": query_dialect, "data_format": data_format or format_, "schema_format": schema_format}
    texts = {name: text for name, text in given.items() if text is not None}
    try:
        return QueryForm.model_validate(
            {"query": query, "include": includes(include), "skip": skip, "limit": limit, **texts}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise TextAnswerError(400, f"Failed to deserialize query string: {first['loc'][0]}: {first['msg']}") from error


@router.api_route("/query", methods=["GET", "HEAD"])
async def query_by_get(
    request: Request, form: Annotated[QueryForm, Depends(form_in_url)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, form, caller, node)


@router.post("/query")
async def query_by_post(
    request: Request, form: Annotated[QueryForm, Depends(form_in_body)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, form, caller, node)


async def _answer(request: Request, form: QueryForm, caller: Caller, node: Node) -> Response:
    asked = form.only_offered()
    question = QueryRequest(asked.query, skip=asked.skip, limit=asked.limit, data_format=asked.data_format)
    found = await query_while_connected(request, lambda left: node.query.query(caller, question, cancel=left))
    output = b'{"data":%b,"dataFormat":"%b"}' % (found.data, found.data_format.value.encode())
    return Response(b'{"output":%b}' % output, media_type="application/json")
