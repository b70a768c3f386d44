"""`GET|POST /verify`: whether a node can be held to an answer, and whether the answer is right.

First what was sent has to agree with itself, then the question is asked again at the blocks that it names.
"""

import json
import threading
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import from_json

from kamu_assets.auth.model import Caller
from kamu_assets.node import Node
from kamu_gateway.edge.caller import LenientCaller
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.json_body import parse_json, read_json_body
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.said_twice import said_twice
from kamu_gateway.edge.threads import query_while_connected
from kamu_gateway.rest.disputes import DisputeError, check_answer, check_commitment
from kamu_gateway.rest.documents import REFUSED, Verdict
from kamu_gateway.rest.openapi import body
from kamu_gateway.rest.verify_form import VerifyForm

router = APIRouter()


async def sent_in_url(
    *,
    input_: Annotated[str, Query(alias="input", description="JSON")],
    sub_queries: Annotated[str, Query(alias="subQueries", description="JSON")] = "[]",
    commitment: Annotated[str, Query(description="JSON")],
    proof: Annotated[str, Query(description="JSON")],
) -> bytes:
    """The document, of which each member is a parameter."""
    members = {"input": input_, "subQueries": sub_queries, "commitment": commitment, "proof": proof}
    document = {}
    for name, text in members.items():
        try:
            document[name] = from_json(text)
        except ValueError as error:
            raise TextAnswerError(400, f"Failed to deserialize query string: {name}: {error}") from error
        if (twice := said_twice(text)) is not None:
            raise TextAnswerError(400, f"Failed to deserialize query string: {name}: duplicate field `{twice}`")
    return json.dumps(document).encode()


@router.get(
    "/verify",
    operation_id="verify_handler_get",
    summary="Check an answer that a node has signed, as a query string",
    tags=["odf-query"],
    responses={200: {"model": Verdict}, 400: {"model": Verdict}, **REFUSED},
)
async def verify_by_get(
    request: Request, sent: Annotated[bytes, Depends(sent_in_url)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, sent, caller, node)


@router.post(
    "/verify",
    operation_id="verify_handler",
    summary="Check an answer that a node has signed",
    tags=["odf-query"],
    responses={200: {"model": Verdict}, 400: {"model": Verdict}, **REFUSED},
    openapi_extra=body(VerifyForm),
)
async def verify_by_post(
    request: Request, sent: Annotated[bytes, Depends(read_json_body)], caller: LenientCaller, node: CurrentNode
) -> Response:
    return await _answer(request, sent, caller, node)


async def _answer(request: Request, sent: bytes, caller: Caller, node: Node) -> Response:
    form = parse_json(sent, VerifyForm)

    def check(left: threading.Event) -> None:
        check_commitment(form, from_json(sent))
        check_answer(node, caller, form, left)

    try:
        await query_while_connected(request, check)
    except DisputeError as error:
        return JSONResponse({"ok": False, "error": error.document}, 400)
    return JSONResponse({"ok": True})
