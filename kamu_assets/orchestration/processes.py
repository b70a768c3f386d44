"""How Dagster's processes are started. Imports nothing heavy: the supervisor uses it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kamu_assets.orchestration.catalog.shards import SHARD_VARIABLE, shard_at, shards
from kamu_assets.orchestration.config import AdapterConfig

WORKSPACE_FILE = "workspace.yaml"
DAEMON_WORKSPACE_FILE = "daemon.yaml"
_PACKAGED = Path(__file__).parent / "templates"
# In a checkout the templates lie with the other things to deploy; a wheel carries a copy of them.
TEMPLATES = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "deployment" / "dagster"

_OWN = "kamu_assets.definitions.process"


@dataclass(frozen=True)
class ProcessCommand:
    """A process of the node: its name in the log, what to execute, what to add to the environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    # Host and port of the process that it asks as soon as it is there.
    after: tuple[str, int] | None = None


def prepare_command(config: AdapterConfig) -> ProcessCommand:
    """To be run to its end before the others are started."""
    return _python("prepare", config, "-m", "kamu_assets.definitions.prepare")


def scheduler_command(config: AdapterConfig) -> ProcessCommand:
    return _python("scheduler", config, "-m", _OWN, "scheduler")


def worker_command(config: AdapterConfig, number: int = 1) -> ProcessCommand:
    name = "worker" if config.workers == 1 else f"worker-{number}"
    return _python(name, config, "-m", _OWN, "worker")


def webserver_command(config: AdapterConfig) -> ProcessCommand:
    address = ("--host", config.host, "--port", str(config.webserver_port))
    workspace = ("--workspace", str(config.dagster_home / WORKSPACE_FILE))
    quiet = ("--dagster-log-level", "warning", "--uvicorn-log-level", "warning")
    return _python("webserver", config, "-m", "dagster_webserver", *address, *workspace, *quiet)


def daemon_command(config: AdapterConfig) -> ProcessCommand:
    # It launches queued runs, which needs no code location, and lets the sensors of one look: all others, the catalog
    # above all, would only cost it memory.
    workspace = ("--workspace", str(config.dagster_home / DAEMON_WORKSPACE_FILE))
    daemon = _python("daemon", config, "-m", "dagster._daemon", "run", *workspace, "--log-level", "warning")
    return replace(daemon, after=(config.host, config.flows_port))


def catalog_command(config: AdapterConfig, number: int = 1) -> ProcessCommand:
    shard = shard_at(config, number)
    server = _code_server(config, shard.location, shard.port, module="catalog")
    return replace(server, env={**server.env, SHARD_VARIABLE: str(shard.number)})


def flows_command(config: AdapterConfig) -> ProcessCommand:
    return _code_server(config, "flows", config.flows_port, module="flows")


def dagster_commands(config: AdapterConfig) -> list[ProcessCommand]:
    """All of them, in the order of starting."""
    workers = [worker_command(config, number) for number in range(1, config.workers + 1)]
    return [scheduler_command(config), *workers, *dagster_own_commands(config)]


def dagster_own_commands(config: AdapterConfig) -> list[ProcessCommand]:
    """Those that run nothing but Dagster's programs."""
    servers = [*(catalog_command(config, shard.number) for shard in shards(config)), flows_command(config)]
    return [*servers, daemon_command(config), webserver_command(config)]


def _code_server(config: AdapterConfig, name: str, port: int, *, module: str) -> ProcessCommand:
    code = ("--module-name", f"kamu_assets.definitions.{module}", "--attribute", "defs")
    address = ("--host", config.host, "--port", str(port), "--location-name", name)
    # Few requests at once come from the UI; each idle thread of the pool costs memory.
    limits = ("--max-workers", "4", "--log-level", "warning")
    return _python(name, config, "-m", "dagster", "api", "grpc", *code, *address, *limits)


def _python(name: str, config: AdapterConfig, *arguments: str) -> ProcessCommand:
    env = {
        "DAGSTER_HOME": str(config.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # Large catalogs: 100 MB messages on both ends.
        "DAGSTER_GRPC_MAX_RX_BYTES": str(100 << 20),
        "DAGSTER_GRPC_MAX_SEND_BYTES": str(100 << 20),
        "PYTHONUNBUFFERED": "1",
    }
    return ProcessCommand(name, (sys.executable, *arguments), env)
