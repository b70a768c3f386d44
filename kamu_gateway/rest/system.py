"""Small calls about the node: `/info`, `/accounts/me`, `/datasets/{id}`, `/system/health`."""

from enum import StrEnum
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_gateway.edge.caller import LenientCaller
from kamu_gateway.edge.errors import MessageAnswerError, TextAnswerError
from kamu_gateway.edge.health import TO_BE_READY, TO_START, find_fault
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.threads import in_thread
from kamu_gateway.rest.documents import NEEDS_TOKEN, REFUSED, AccountInfo, DatasetInfo, Health, NodeInfo

log = structlog.get_logger()
router = APIRouter()

READ = ["GET", "HEAD"]


class Probe(StrEnum):
    """What an orchestrator wants to know."""

    LIVENESS = "liveness"
    READINESS = "readiness"
    STARTUP = "startup"


@router.api_route(
    "/info",
    methods=READ,
    operation_id="node_info_handler",
    summary="What kind of node this is",
    tags=["odf-core"],
    responses={200: {"model": NodeInfo}, **REFUSED},
)
async def info() -> Response:
    return JSONResponse({"isMultiTenant": True})


@router.api_route(
    "/accounts/me",
    methods=READ,
    operation_id="account_handler",
    summary="Who the token stands for",
    tags=["kamu"],
    responses={200: {"model": AccountInfo}, **REFUSED},
    openapi_extra=NEEDS_TOKEN,
)
async def me(caller: LenientCaller) -> Response:
    if caller.account is None:
        raise MessageAnswerError(401, "Unauthenticated")
    return JSONResponse({"id": str(caller.account.id), "accountName": str(caller.account.name)})


@router.api_route(
    "/datasets/{id}",
    methods=READ,
    operation_id="dataset_info_handler",
    summary="Names of the dataset with this identity",
    tags=["kamu"],
    responses={200: {"model": DatasetInfo}, **REFUSED},
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


@router.api_route(
    "/system/health",
    methods=READ,
    operation_id="health_handler",
    summary="Whether the node can do its work",
    tags=["kamu"],
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
