"""The files that Dagster's processes find in their home. Imports nothing heavy: the supervisor looks here, too."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from string import Template

from kamu_assets.orchestration.catalog.shards import COUNT_FILE, Shard, shards
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.processes import DAEMON_WORKSPACE_FILE, TEMPLATES, WORKSPACE_FILE

INSTANCE_FILE = "dagster.yaml"
# The address of Dagster's PostgreSQL: what the instance file says is shown to everybody who sees Dagster's UI.
POSTGRES_FILE = "postgres.url"
# In the templates: where the storages keep their files.
_HISTORY = "history"


def is_prepared(config: AdapterConfig) -> bool:
    """Whether the home is as this version of Dagster and these settings want it."""
    if config.postgres_url:
        # Another database may have taken its place meanwhile, and nothing here would tell.
        return False
    return _mark(config).is_file() and all(_is(path, text) for path, text in _files(config).items())


def watch(config: AdapterConfig) -> Callable[[], bool]:
    """Tells, whenever it is asked, whether somebody has removed the home, or the history in it."""
    kept = config.dagster_home / INSTANCE_FILE if config.postgres_url else _mark(config)
    return lambda: not kept.is_file()


def write_files(config: AdapterConfig) -> None:
    """Write the configuration, as far as it is not there."""
    for path, text in _files(config).items():
        _write(path, text)


def write_shard_count(config: AdapterConfig, count: int) -> None:
    """Decide how many code servers share the catalog, and tell where the webserver finds them."""
    config.dagster_home.mkdir(parents=True, exist_ok=True)
    _write(config.dagster_home / COUNT_FILE, str(count))
    write_files(config)


def mark_prepared(config: AdapterConfig) -> None:
    """Remember that the storages have their tables. The mark lies beside files of theirs, to be lost with them."""
    _write(_mark(config), "")


def _mark(config: AdapterConfig) -> Path:
    return config.dagster_home / _HISTORY / f".prepared-{version('dagster')}"


def _files(config: AdapterConfig) -> dict[Path, str]:
    storages = "storages.postgres.yaml" if config.postgres_url else "storages.sqlite.yaml"
    texts = {
        INSTANCE_FILE: _rendered(INSTANCE_FILE, config) + _rendered(storages, config),
        WORKSPACE_FILE: _rendered(WORKSPACE_FILE, config),
        DAEMON_WORKSPACE_FILE: _rendered(DAEMON_WORKSPACE_FILE, config),
    }
    if config.postgres_url:
        texts[POSTGRES_FILE] = config.postgres_url
    return {config.dagster_home / name: text for name, text in texts.items()}


def _rendered(name: str, config: AdapterConfig) -> str:
    values = {
        "database_url": config.database_url,
        "durability": config.durability,
        "run_directory": str(config.run_directory),
        "dagster_home": str(config.dagster_home),
        "max_concurrent_runs": str(config.workers * 8),
        "host": config.host,
        "catalog_port": str(config.catalog_port),
        "flows_port": str(config.flows_port),
    }
    # Values stand between single quotes of YAML.
    quoted = {key: value.replace("'", "''") for key, value in values.items()}
    quoted["more_catalogs"] = "".join(_server(each, quoted["host"]) for each in shards(config)[1:])
    return Template((TEMPLATES / name).read_text(encoding="utf-8")).substitute(quoted)


def _server(shard: Shard, host: str) -> str:
    return f"\n  - grpc_server: {{location_name: {shard.location}, host: '{host}', port: {shard.port}}}"


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _write(path: Path, text: str) -> None:
    if _is(path, text):
        return
    pending = path.with_name(f".{path.name}.pending")
    # They may name a database and its password.
    pending.touch(mode=0o600)
    pending.write_text(text, encoding="utf-8")
    pending.replace(path)
