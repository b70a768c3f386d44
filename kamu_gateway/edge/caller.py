"""Who is asking: the bearer token of a request (RFC 6750)."""

from typing import Annotated

from fastapi import Depends, Request

from kamu_assets.auth.errors import InvalidTokenError
from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.node import Node
from kamu_gateway.edge.errors import ASK_FOR_ANOTHER, TextAnswerError
from kamu_gateway.edge.node import CurrentNode


def bearer_token(header: str | None) -> str | None:
    """The token in an Authorization header, None without one; other schemes and a missing token end the request."""
    if header is None:
        return None
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token:
        raise TextAnswerError(400, "Invalid Bearer token header", media_type=None)
    return token


def known_caller(node: Node, header: str | None) -> Caller:
    """The caller of a dataset route, which refuses bad tokens."""
    try:
        return node.auth.caller_from_token(bearer_token(header))
    except InvalidTokenError as error:
        raise TextAnswerError(
            401, "Authentication token invalid", media_type=None, challenge=ASK_FOR_ANOTHER
        ) from error


def lenient_caller(request: Request, node: CurrentNode) -> Caller:
    """The caller of routes that take a bad token for nobody."""
    try:
        return node.auth.caller_from_token(bearer_token(request.headers.get("authorization")))
    except InvalidTokenError:
        return ANONYMOUS


LenientCaller = Annotated[Caller, Depends(lenient_caller)]
