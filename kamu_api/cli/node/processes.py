"""Which processes make a node, and how the API's own is run."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from kamu_api.cli.node.child import ProcessSpec
from kamu_api.cli.node.supervisor import Recovery
from kamu_assets.errors import InvalidError

if TYPE_CHECKING:
    from kamu_assets.orchestration.processes import ProcessCommand
    from kamu_assets.settings import Settings


# Clients wait for the API, nobody for what is done beside its start.
_BESIDE_THE_API = 10


def process_specs(settings: "Settings") -> list[ProcessSpec]:
    """The processes of an embedded node, in the order of starting."""
    from kamu_assets.orchestration.processes import dagster_commands
    from kamu_assets.settings import adapter_config

    api = ProcessSpec("api", (sys.executable, "-m", "kamu_api.cli.main", "process", "api"), _environment(settings))
    return [api, *(_spec(settings, command) for command in dagster_commands(adapter_config(settings)))]


def preparation_spec(settings: "Settings") -> ProcessSpec | None:
    """What has to end before Dagster's processes begin; None where an earlier start has done it."""
    from kamu_assets.orchestration.home import is_prepared
    from kamu_assets.orchestration.processes import prepare_command
    from kamu_assets.settings import adapter_config

    config = adapter_config(settings)
    return None if is_prepared(config) else _spec(settings, prepare_command(config), niceness=_BESIDE_THE_API)


def recovery_of(settings: "Settings") -> Recovery:
    """What to do when Dagster's home is removed while the node runs."""
    from kamu_assets.orchestration.home import watch
    from kamu_assets.orchestration.processes import prepare_command
    from kamu_assets.settings import adapter_config

    config = adapter_config(settings)
    return Recovery(watch(config), _spec(settings, prepare_command(config)))


def _spec(settings: "Settings", command: "ProcessCommand", *, niceness: int = 0) -> ProcessSpec:
    environment = {**_environment(settings), **command.env}
    return ProcessSpec(command.name, command.argv, environment, niceness, command.after)


def _environment(settings: "Settings") -> dict[str, str]:
    # Whoever keeps the log of all processes gets events; how people read them is decided there.
    return {"KAMU_NODE_HOME": str(settings.home), "PYTHONUNBUFFERED": "1", "KAMU_NODE__LOG__FORMAT": "json"}


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
    from kamu_assets.query.eager_workers import workers_begun

    # What workers load takes as long as what the API itself loads.
    with workers_begun():
        from kamu_api.serving import serve

        serve(settings)
