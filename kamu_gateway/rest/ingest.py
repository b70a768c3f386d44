"""`POST /{account}/{dataset}/ingest`: push data; the answer means that it is durable and readable."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from kamu_assets.coordinator.ingest.errors import UnsupportedMediaTypeError
from kamu_assets.coordinator.ingest.push.media_types import MEDIA_TYPES
from kamu_assets.coordinator.service import PushData
from kamu_assets.errors import InvalidError
from kamu_assets.odf.timestamp import Timestamp
from kamu_gateway.edge.bodies import Intake
from kamu_gateway.edge.datasets import DATASET, Admitted, DatasetRoute
from kamu_gateway.edge.errors import MessageAnswerError
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.threads import in_lane, lanes_of
from kamu_gateway.edge.unpacking import Unpacking, unpacking
from kamu_gateway.rest.documents import NEEDS_TOKEN, REFUSED

router = APIRouter(route_class=DatasetRoute)

_BODY = {
    "requestBody": {
        "required": True,
        "content": {name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES},
    }
}


def media_type_of(content_type: Annotated[str | None, Header()] = None) -> str | None:
    """A known media type, or None to read the data as the source says; parameters are as unknown here as in Kamu."""
    if content_type is None or content_type in MEDIA_TYPES:
        return content_type
    raise UnsupportedMediaTypeError(f"unsupported media type {content_type!r}")


def unpacking_of(content_encoding: Annotated[list[str] | None, Header()] = None) -> Unpacking:
    """How the body is unpacked; what is not known is refused before it is read (RFC 9110, 15.5.16).

    Several lines are one list (5.2).
    """
    return unpacking(", ".join(content_encoding or ()))


def event_time_of(odf_event_time: Annotated[str | None, Header()] = None) -> Timestamp | None:
    """When the data happened, for rows that do not say so themselves."""
    if odf_event_time is None:
        return None
    try:
        return Timestamp.parse(odf_event_time)
    except InvalidError as error:
        raise MessageAnswerError(400, f"Invalid odf-event-time header: {error}") from error


async def intake_of(request: Request) -> Intake:
    """Where this application's bodies come in."""
    intake: Intake = request.app.state.intake
    return intake


@router.post(
    f"{DATASET}/ingest",
    operation_id="dataset_ingest_handler",
    summary="Push data",
    tags=["kamu"],
    responses={200: {"description": "Durable and readable"}, **REFUSED},
    openapi_extra=NEEDS_TOKEN | _BODY,
)
async def ingest(
    *,
    request: Request,
    admitted: Admitted,
    node: CurrentNode,
    intake: Annotated[Intake, Depends(intake_of)],
    packed: Annotated[Unpacking, Depends(unpacking_of)],
    media_type: Annotated[str | None, Depends(media_type_of)],
    event_time: Annotated[Timestamp | None, Depends(event_time_of)],
    source_name: Annotated[str | None, Query(alias="sourceName")] = None,
    upload_token: Annotated[str | None, Query(alias="uploadToken")] = None,
) -> Response:
    if upload_token is not None:
        raise MessageAnswerError(400, "this node does not offer uploads yet: send the data as the body")
    async with intake.take(request, packed=packed) as content:
        await in_lane(
            lanes_of(request).pushes,
            node.coordinator.push,
            admitted.caller,
            admitted.dataset.id,
            PushData(content),
            source_name=source_name,
            media_type=media_type,
            source_event_time=event_time,
        )
    return Response()
