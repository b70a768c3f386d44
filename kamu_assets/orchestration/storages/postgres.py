"""Dagster's tables in PostgreSQL, in a schema of their own: the node's tables may be in the same database.

Where that database is stands in a file, and not in `dagster.yaml`, which Dagster's UI shows.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Self

from dagster import EventLogEntry, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._serdes.config_class import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from kamu_assets.orchestration.storages.planned_checks import is_never_run
from kamu_assets.orchestration.storages.server_connections import connected, examine
from kamu_assets.orchestration.storages.unstored import is_stored

SCHEMA: Final = "dagster"
_CONFIG: Final[UserConfigSchema] = {"url_file": StringSource}


def create_schema(url: str) -> None:
    """Make room for Dagster's tables, where there is none."""
    engine = create_engine(_driven(url), poolclass=NullPool)
    with engine.begin() as connection:
        # Two nodes may meet a fresh database.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"schema {SCHEMA}"})
        if SCHEMA not in inspect(connection).get_schema_names():
            connection.execute(CreateSchema(SCHEMA))


class _Storage:
    """A storage that has its address from a file, and connections of a process that outlives its server."""

    _engine: Engine

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return _CONFIG

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(_address(config_value), inst_data=inst_data)  # type: ignore[call-arg] # Dagster's, of each storage

    def optimize_for_webserver(self, *args: Any, **kwargs: Any) -> None:
        super().optimize_for_webserver(*args, **kwargs)  # type: ignore[misc] # Dagster's, of each storage
        examine(self._engine)

    def connect(self, run_id: str | None = None) -> AbstractContextManager[Connection]:  # noqa: ARG002 - as Dagster has it
        return connected(self._engine)

    # The name that the event log has for it.
    _connect = connect


class PostgresRuns(_Storage, PostgresRunStorage):
    """Runs and their tags."""


class PostgresEvents(_Storage, PostgresEventLogStorage):
    """Logs, materializations, checks."""

    def store_event(self, event: EventLogEntry) -> None:
        if is_stored(event):
            super().store_event(event)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        if not is_never_run(self._instance, event):
            super().store_asset_check_event(event, event_id)


class PostgresSchedules(_Storage, PostgresScheduleStorage):
    """Ticks of schedules and sensors."""


def _driven(url: str) -> URL:
    """With the driver that is here, whichever SQLAlchemy would take for a URL that names none."""
    return make_url(url).set(drivername="postgresql+psycopg2")


def _address(config: dict[str, str]) -> str:
    url = _driven(Path(config["url_file"]).read_text(encoding="utf-8").strip())
    if "options" not in url.query:
        # Whoever gives options of his own says there where the tables are.
        url = url.update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    return url.render_as_string(hide_password=False)
