"""The node's Dagster instance: its configuration files and its first start."""

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._config import Field
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.instance.ref import InstanceRef
from dagster._daemon.daemon import SensorDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from kamu_assets.errors import ConflictError, InvalidError
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import mark_prepared, write_files
from kamu_assets.orchestration.names import TAGS_OF_ONE_RUN
from kamu_assets.orchestration.workers.launcher import HybridRunLauncher

# Of a URL.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]*(?=@)")


class BackfillsUnavailableError(InvalidError):
    """Dagster's UI turns some requests into a backfill, those over several code locations for instance."""

    def __init__(self) -> None:
        super().__init__(
            "datasets have no partitions, so this node runs no backfills: materialize the datasets of one code"
            " location at a time, or run `kamu-node pull` with their names or patterns"
        )


class RunNeededError(ConflictError):
    """A run that has not ended, or whose flow does not know yet, cannot be deleted."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"run {run_id} has not ended, or its flow has not heard of its end yet: terminate it, wait a few seconds,"
            " and delete it then"
        )
        self.run_id = run_id


class NodeInstance(DagsterInstance):
    """An instance that asks for the daemons this node has work for: its scheduler decides, Dagster's dequeues.

    Sensors look after what the scheduler may have left undone.
    """

    @classmethod
    def config_schema(cls) -> Mapping[str, Field]:
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        return InstanceRef.config_defaults(base_dir)

    def get_required_daemon_types(self) -> Sequence[str]:
        return [QueuedRunCoordinatorDaemon.daemon_type(), SensorDaemon.daemon_type()]

    def get_yaml_python_handlers(self) -> Sequence[logging.Handler]:
        """None: to look for some, Dagster would set up logging anew for each run and close everybody's handlers.

        Runs that are executed beside each other would wait for one another for ever.
        """
        return []

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Refused while somebody is there to be told: no daemon would ever begin with it."""
        del partition_backfill
        raise BackfillsUnavailableError

    def create_run(self, *, tags: Mapping[str, Any] | None, **said: Any) -> DagsterRun:
        """As somebody asks for it in the UI, where tags of other runs are easily copied; the node makes its own."""
        return super().create_run(tags=_copied(tags or {}), **said)

    def create_reexecuted_run(self, *, parent_run: DagsterRun, **said: Any) -> DagsterRun:
        """A run once more is not the same attempt of the same flow."""
        return super().create_reexecuted_run(parent_run=parent_run._replace(tags=_copied(parent_run.tags)), **said)

    def delete_run(self, run_id: str) -> None:
        """Refused while something depends on it: it would be executed without a trace, or made anew."""
        run = self.get_run_by_id(run_id)
        is_submitted = run is not None and run.status is not DagsterRunStatus.NOT_STARTED and not run.is_finished
        launcher = self.run_launcher
        if is_submitted or (isinstance(launcher, HybridRunLauncher) and launcher.is_needed(run_id)):
            raise RunNeededError(run_id)
        super().delete_run(run_id)

    def info_str(self) -> str:
        """The configuration as Dagster's UI shows it to everybody who can see the UI."""
        return _PASSWORD.sub(r"\1***", super().info_str())


def _copied(tags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tags.items() if name not in TAGS_OF_ONE_RUN}


def prepare(config: AdapterConfig) -> None:
    """Write the configuration and create the storages, once, before any other process of Dagster starts.

    Two processes that meet a fresh home at the same moment would both create its tables, and one would fail.
    """
    config.dagster_home.mkdir(parents=True, exist_ok=True)
    with _alone(config.dagster_home / ".prepare.lock"):
        write_files(config)
        if config.postgres_url:
            _make_room(config.postgres_url)
        with open_instance(config) as instance:
            # Opening it creates the tables; a look makes sure that they can be used.
            instance.get_run_records(limit=1)
            instance.get_asset_keys(limit=1)
        if config.postgres_url is None:
            # Closed, the storages are on the disk; only now may a later start trust the mark.
            mark_prepared(config)


@contextmanager
def open_instance(config: AdapterConfig) -> Iterator[DagsterInstance]:
    """The instance, with the connections of a long-lived process."""
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(config.dagster_home))) as instance:
        instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3_600, max_overflow=10)
        yield instance


def _make_room(postgres_url: str) -> None:
    # Only nodes on PostgreSQL load it.
    from kamu_assets.orchestration.storages.postgres import create_schema

    create_schema(postgres_url)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
