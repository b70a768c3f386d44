"""Serves the API of a node, in the process that is this one."""

import threading

import structlog
import uvicorn

from kamu_api.app import create_app
from kamu_assets.errors import KamuError
from kamu_assets.monitoring.metric import LEDGER
from kamu_assets.node import Node, open_node
from kamu_assets.settings import Settings, begin_logging
from kamu_gateway.edge.connections import BoundedConnection

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Answer requests until SIGTERM."""
    begin_logging(settings, "api")
    LEDGER.open()
    with open_node(settings) as node, node.hearing_others():
        app = create_app(node)
        # Whoever asks for data before workers are warm waits for them; all others need not.
        threading.Thread(target=_warm_up, args=(node,), name="warm-up", daemon=True).start()
        uvicorn.run(
            app,
            host=settings.http.host,
            port=settings.http.port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=BoundedConnection,
            # Clients of Kamu take a ping for a protocol error.
            ws_ping_interval=None,
            timeout_graceful_shutdown=5,
        )


def _warm_up(node: Node) -> None:
    try:
        node.warm_up()
    except KamuError as error:
        # The node is stopping, or the first request will meet the same and tell it.
        log.warning("workers_not_warm", reason=str(error))
