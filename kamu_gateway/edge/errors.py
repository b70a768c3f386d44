"""The only table from families of failure to HTTP, and the shapes of refusals that clients of Kamu know.

Refusals of a service are `{"message": …}`; what the framework refuses before a service is called (bad path, query
string or body) is plain text; the dataset doors hide or deny with an empty body.
"""

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from kamu_assets.coordinator.ingest.errors import (
    PushSourceAmbiguousError,
    QueueFullError,
    UnsupportedMediaTypeError,
)
from kamu_assets.errors import ConflictError, DeniedError, InvalidError, KamuError, NotFoundError, UnavailableError
from kamu_gateway.edge.cors import preflight
from kamu_gateway.edge.form_errors import reason
from kamu_gateway.edge.routes import allowed_methods

# Looked up from the top: a class that has a status of its own comes before its family.
STATUS_BY_FAMILY: tuple[tuple[type[KamuError], int], ...] = (
    (UnsupportedMediaTypeError, 415),
    (QueueFullError, 429),
    (InvalidError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (DeniedError, 403),
    (UnavailableError, 503),
)

# Texts that clients of Kamu compare.
_KNOWN_TEXTS: Mapping[type[KamuError], str] = {
    UnsupportedMediaTypeError: "Unsupported media type",
    PushSourceAmbiguousError: "Explicit source name is required to pick between several active push sources",
}
# What a client that was told "not now" should wait.
_RETRY_AFTER = {429: "1", 503: "5"}


# How to authenticate, where the body is known to clients of Kamu as it is (RFC 6750, section 3).
ASK_FOR_ACCOUNT = (
    'Bearer realm="kamu-node", error_description="send the header Authorization: Bearer with an access token;'
    ' keys/admin.token in the home of the node holds one"'
)
ASK_FOR_ANOTHER = 'Bearer realm="kamu-node", error="invalid_token", error_description="this access token is unknown"'


class EmptyAnswerError(Exception):
    """End the request with this status and no body; `challenge` tells how to come back with a token."""

    def __init__(self, status: int, *, challenge: str | None = None) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = _challenging(challenge)


class TextAnswerError(Exception):
    """End the request with this status and a line of text; what the guards at the door say has no content type."""

    def __init__(
        self, status: int, text: str, *, media_type: str | None = "text/plain", challenge: str | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.media_type = media_type
        self.headers = _challenging(challenge)


class MessageAnswerError(Exception):
    """End the request with this status and `{"message": …}`, where the family's own status does not fit."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = None if retry_after is None else {"retry-after": str(retry_after)}


def install(app: FastAPI) -> None:
    """Make every refusal of `app` look as described above."""
    app.add_exception_handler(KamuError, _refuse)
    app.add_exception_handler(EmptyAnswerError, _answer_empty)
    app.add_exception_handler(TextAnswerError, _answer_text)
    app.add_exception_handler(MessageAnswerError, _answer_message)
    app.add_exception_handler(RequestValidationError, _refuse_form)
    app.add_exception_handler(HTTPException, _refuse_route)


def _challenging(challenge: str | None) -> dict[str, str] | None:
    return None if challenge is None else {"www-authenticate": challenge}


def status_of(error: KamuError) -> int:
    return next((status for family, status in STATUS_BY_FAMILY if isinstance(error, family)), 500)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, KamuError)  # noqa: S101 - registered for it
    status = status_of(error)
    headers = {"retry-after": _RETRY_AFTER[status]} if status in _RETRY_AFTER else None
    return JSONResponse({"message": _KNOWN_TEXTS.get(type(error), str(error))}, status, headers=headers)


async def _answer_empty(_: Request, error: Exception) -> Response:
    assert isinstance(error, EmptyAnswerError)  # noqa: S101 - registered for it
    return Response(status_code=error.status, headers=error.headers)


async def _answer_text(_: Request, error: Exception) -> Response:
    assert isinstance(error, TextAnswerError)  # noqa: S101 - registered for it
    return Response(error.text, error.status, media_type=error.media_type, headers=error.headers)


async def _answer_message(_: Request, error: Exception) -> Response:
    assert isinstance(error, MessageAnswerError)  # noqa: S101 - registered for it
    return JSONResponse({"message": str(error)}, error.status, headers=error.headers)


async def _refuse_form(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    part, *place = first["loc"]
    refused = "Invalid URL" if part == "path" else "Failed to deserialize query string"
    return PlainTextResponse(f"{refused}: {reason({**first, 'loc': place})}", 400)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 404:  # noqa: PLR2004 - the status itself
        return PlainTextResponse("Not Found", 404)
    if error.status_code != 405:  # noqa: PLR2004 - the status itself
        return Response(status_code=error.status_code, headers=error.headers)
    allow = {"allow": ",".join(allowed_methods(request))}
    return preflight(request, allow) or Response(status_code=405, headers=allow)
