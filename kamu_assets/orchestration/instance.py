"""The node's Dagster instance: its configuration files and its first start."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

from dagster import DagsterInstance, __version__
from dagster._config import Field
from dagster._core.instance.ref import InstanceRef
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.processes import TEMPLATES, WORKSPACE_FILE, prepared_mark

INSTANCE_FILE = "dagster.yaml"


class NodeInstance(DagsterInstance):
    """An instance that asks for the daemons this node has work for: its scheduler decides, Dagster's only dequeues."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Field]:
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        return InstanceRef.config_defaults(base_dir)

    def get_required_daemon_types(self) -> Sequence[str]:
        return [QueuedRunCoordinatorDaemon.daemon_type()]


def prepare(config: AdapterConfig) -> None:
    """Write the configuration and create the storages, once, before any other process of Dagster starts.

    Two processes that meet a fresh home at the same moment would both create its tables, and one would fail.
    """
    config.dagster_home.mkdir(parents=True, exist_ok=True)
    with _alone(config.dagster_home / ".prepare.lock"):
        for name in (INSTANCE_FILE, WORKSPACE_FILE):
            _write(config.dagster_home / name, _rendered(name, config))
        with open_instance(config) as instance:
            # Opening it creates the tables; a look makes sure that they can be used.
            instance.get_run_records(limit=1)
            instance.get_asset_keys(limit=1)
        _write(config.dagster_home / prepared_mark(__version__), "")


@contextmanager
def open_instance(config: AdapterConfig) -> Iterator[DagsterInstance]:
    """The instance, with the connections of a long-lived process."""
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(config.dagster_home))) as instance:
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3_600, max_overflow=10)
        yield instance


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
    return Template((TEMPLATES / name).read_text(encoding="utf-8")).substitute(quoted)


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    pending = path.with_name(f".{path.name}.pending")
    pending.write_text(text, encoding="utf-8")
    pending.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
