"""Which processes make a node, and how the API's own is run."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from kamu_api.cli.supervisor import ProcessSpec
from kamu_assets.errors import InvalidError

if TYPE_CHECKING:
    from kamu_assets.settings import Settings


def process_specs(settings: "Settings") -> list[ProcessSpec]:
    """The processes of an embedded node, in the order of starting."""
    from kamu_assets.orchestration.processes import dagster_commands
    from kamu_assets.settings import adapter_config

    environment = {"KAMU_NODE_HOME": str(settings.home), "PYTHONUNBUFFERED": "1"}
    api = ProcessSpec("api", (sys.executable, "-m", "kamu_api.cli.main", "process", "api"), environment)
    others = [
        ProcessSpec(command.name, command.argv, {**environment, **command.env})
        for command in dagster_commands(adapter_config(settings))
    ]
    return [api, *others]


def run_process(name: str, settings: "Settings") -> None:
    """Run the process `name` in this one: `prepare` or `api`."""
    if name == "prepare":
        _prepare(settings)
    elif name == "api":
        _serve_api(settings)
    else:
        raise InvalidError(f"no process is called {name}; there are: prepare, api")


def _prepare(settings: "Settings") -> None:
    from kamu_assets.node import open_node
    from kamu_assets.orchestration.processes import prepare_command
    from kamu_assets.settings import adapter_config

    open_node(settings).close()
    command = prepare_command(adapter_config(settings))
    subprocess.run(command.argv, check=True, env={**os.environ, **command.env, "KAMU_NODE_HOME": str(settings.home)})


def _serve_api(settings: "Settings") -> None:
    import uvicorn

    from kamu_api.app import create_app
    from kamu_assets.monitoring.logs import configure_logging
    from kamu_assets.node import open_node
    from kamu_gateway.edge.connections import BoundedConnection

    configure_logging("api")
    with open_node(settings) as node:
        node.warm_up()
        uvicorn.run(
            create_app(node),
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
