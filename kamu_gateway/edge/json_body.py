"""JSON bodies, refused as Kamu refuses them: 415 for another media type, 400 for no JSON, 422 for another shape."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from kamu_gateway.edge.bodies import declared_size
from kamu_gateway.edge.errors import MessageAnswerError, TextAnswerError
from kamu_gateway.edge.form_errors import reason
from kamu_gateway.edge.said_twice import said_twice

MAX_BYTES = 2 << 20

M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request, model: type[M]) -> M:
    """The body as a model."""
    return parse_json(await read_json_body(request), model)


async def read_json_body(request: Request) -> bytes:
    """A body that is said to be JSON, as it was sent."""
    if not _is_json(request.headers.get("content-type", "")):
        raise TextAnswerError(415, "Expected request with `Content-Type: application/json`")
    return await _read_small(request, limit=MAX_BYTES)


def parse_json(body: bytes, model: type[M]) -> M:
    """The same for a body that is read."""
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            fault = first["msg"].removeprefix("Invalid JSON: ")
            raise TextAnswerError(400, f"Failed to parse the request body as JSON: {fault}") from error
        raise _other_shape(reason(first, model)) from error
    if (name := said_twice(body)) is not None:
        raise _other_shape(f"duplicate field `{name}`")
    return parsed


def _other_shape(fault: str) -> TextAnswerError:
    return TextAnswerError(422, f"Failed to deserialize the JSON body into the target type: {fault}")


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    main, _, sub = media_type.partition("/")
    return main == "application" and (sub == "json" or sub.endswith("+json"))


async def _read_small(request: Request, *, limit: int) -> bytes:
    """A body that has no business being large."""
    if declared_size(request) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> MessageAnswerError:
    return MessageAnswerError(413, f"Content too large: the limit is {limit} bytes")
