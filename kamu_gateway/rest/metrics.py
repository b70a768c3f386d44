"""`GET /system/metrics`: the whole node's, for Prometheus."""

from fastapi import APIRouter, Response

from kamu_assets.monitoring.families import CONTENT_TYPE, text_of
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.edge.node_metrics import node_families
from kamu_gateway.edge.threads import in_thread

router = APIRouter()


@router.api_route("/system/metrics", methods=["GET", "HEAD"])
async def metrics(node: CurrentNode) -> Response:
    families = await in_thread(node_families, node)
    return Response(text_of(families), headers={"content-type": CONTENT_TYPE})
