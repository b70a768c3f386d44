"""Dagster's webserver: it reads which code locations there are when it starts, and when it is told to."""

import json
import urllib.error
import urllib.request

import structlog

from kamu_assets.orchestration.config import AdapterConfig

log = structlog.get_logger(__name__)

# It asks every code server for all it has.
PATIENCE_SECONDS = 180.0
_RELOAD = {"query": "mutation { reloadWorkspace { __typename } }"}


def reload_workspace(config: AdapterConfig) -> bool:
    """Let it look at its workspace again; False when it does not answer, for it may have read an older one."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    request = urllib.request.Request(
        f"http://{host}:{config.webserver_port}/graphql",
        data=json.dumps(_RELOAD).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - an address of ours
            kind = json.load(answer)["data"]["reloadWorkspace"]["__typename"]
    except urllib.error.URLError as error:
        log.debug("webserver_not_reached", reason=str(error))
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("workspace_not_reloaded", reason=str(error))
        return False
    return bool(kind == "Workspace")
