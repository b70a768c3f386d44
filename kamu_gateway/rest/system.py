"""Small calls about the node: `/info`, `/accounts/me`, `/datasets/{id}`, `/system/health`, `/system/info`."""

from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_gateway.edge.caller import LenientCaller
from kamu_gateway.edge.errors import MessageAnswerError, TextAnswerError
from kamu_gateway.edge.health import TO_BE_READY, TO_START, find_fault
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.threads import in_thread
from kamu_gateway.rest.documents import NEEDS_TOKEN, REFUSED, AccountInfo, BuildInfo, DatasetInfo, Health, NodeInfo

log = structlog.get_logger()
router = APIRouter()

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Probe(StrEnum):
    """What an orchestrator wants to know."""

    LIVENESS = "liveness"
    READINESS = "readiness"
    STARTUP = "startup"


def reading(
    path: str, operation_id: str, *, answer: type[BaseModel], tag: str = "kamu", **about: Any
) -> Callable[[Handler], Handler]:
    """A route that changes nothing, for GET and HEAD."""
    return router.api_route(
        path,
        methods=["GET", "HEAD"],
        operation_id=operation_id,
        tags=[tag],
        **{"responses": {200: {"model": answer}, **REFUSED}, **about},
    )


@reading("/info", "node_info_handler", answer=NodeInfo, tag="odf-core", summary="What kind of node this is")
async def info() -> Response:
    return JSONResponse({"isMultiTenant": True})


@reading(
    "/accounts/me",
    "account_handler",
    answer=AccountInfo,
    summary="Who the token stands for",
    openapi_extra=NEEDS_TOKEN,
)
async def me(caller: LenientCaller) -> Response:
    if caller.account is None:
        raise MessageAnswerError(401, "Unauthenticated")
    return JSONResponse({"id": str(caller.account.id), "accountName": str(caller.account.name)})


@reading(
    "/datasets/{id}",
    "dataset_info_handler",
    answer=DatasetInfo,
    summary="Names of the dataset with this identity",
)
def dataset_by_id(
    dataset: Annotated[str, Path(alias="id", description="did:odf:…")], caller: LenientCaller, node: CurrentNode
) -> Response:
    try:
        entry = node.datasets.resolve(caller, DatasetID.parse(dataset))
    except DatasetNotFoundError as error:
        raise MessageAnswerError(404, "Not Found") from error
    except InvalidError as error:
        raise TextAnswerError(400, f"Invalid URL: Value '{dataset}' is not a valid did:odf") from error
    owner = {"accountName": str(entry.account), "accountId": str(entry.owner)}
    return JSONResponse({"id": str(entry.id), "owner": owner, "datasetName": str(entry.name)})


@reading(
    "/system/health",
    "health_handler",
    answer=Health,
    summary="Whether the node can do its work",
    responses={200: {"model": Health}, 503: {"model": Health}, **REFUSED},
    openapi_extra={"security": []},
)
async def health(node: CurrentNode, probe: Annotated[Probe, Query(alias="type")] = Probe.LIVENESS) -> Response:
    """Liveness: this process answers. Startup: so do database and volumes. Readiness: nothing keeps work waiting."""
    checks = TO_BE_READY if probe is Probe.READINESS else TO_START
    fault = None if probe is Probe.LIVENESS else await in_thread(find_fault, node, checks)
    if fault is None:
        return JSONResponse({"ok": True})
    log.warning("not_ready", reason=fault)
    return JSONResponse({"ok": False, "reason": fault}, 503)


@reading(
    "/system/info",
    "build_info_handler",
    answer=BuildInfo,
    summary="Which version of the node this is",
    openapi_extra={"security": []},
)
async def build_info() -> Response:
    return JSONResponse({"appVersion": version("kamu-node")})
