"""Dagster's webserver: it reads which code locations there are when it starts, and when it is told to."""

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import structlog

from kamu_assets.orchestration.config import AdapterConfig

log = structlog.get_logger(__name__)

# It asks every code server for all it has.
PATIENCE_SECONDS = 180.0
_RELOAD = "mutation { reloadWorkspace { __typename } }"
# What `ask` raises when there is no webserver, or none that understands.
NOT_ANSWERED = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError)


def ask(config: AdapterConfig, query: str, *, timeout_seconds: float, **variables: str) -> dict[str, Any]:
    """The data of its GraphQL answer; one of NOT_ANSWERED without one."""
    connection = http.client.HTTPConnection(config.host, config.webserver_port, timeout=timeout_seconds)
    try:
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        data: dict[str, Any] | None = json.load(connection.getresponse()).get("data")
        return data or {}
    finally:
        connection.close()


def reload_workspace(config: AdapterConfig) -> bool:
    """Let it look at its workspace again; False when it does not answer, for it may have read an older one."""
    try:
        kind = ask(config, _RELOAD, timeout_seconds=PATIENCE_SECONDS)["reloadWorkspace"]["__typename"]
    except ConnectionRefusedError as error:
        log.debug("webserver_not_reached", reason=str(error))
        return False
    except NOT_ANSWERED as error:
        log.warning("workspace_not_reloaded", reason=str(error))
        return False
    return bool(kind == "Workspace")


# Does something that may take long, now or beside what else there is to do.
Begin = Callable[[Callable[[], None]], object]


def beside(work: Callable[[], None]) -> None:
    """On a thread that keeps nobody, the end of the process included, waiting."""
    threading.Thread(target=work, name="workspace-reload", daemon=True).start()


class WorkspaceReload:
    """One look at the workspace, begun when it is made: a busy webserver takes minutes for it."""

    def __init__(self, config: AdapterConfig, *, begin: Begin = beside) -> None:
        self._config = config
        # None as long as it goes on.
        self.succeeded: bool | None = None
        begin(self._reload)

    def _reload(self) -> None:
        succeeded = False
        try:
            succeeded = reload_workspace(self._config)
        finally:
            self.succeeded = succeeded
