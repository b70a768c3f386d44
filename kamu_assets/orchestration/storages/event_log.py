"""Dagster's event log in SQLite, one file per run as Dagster keeps it, made and written the quick way."""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from dagster import EventLogEntry, __version__
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes.config_class import ConfigurableClassData
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from kamu_assets.orchestration.storages.planned_checks import is_never_run
from kamu_assets.orchestration.storages.sqlite_engines import Engines
from kamu_assets.orchestration.storages.unstored import is_stored

# A table or an index takes a page at least, and a run's file has more of them than a run fills.
_PAGE_BYTES = 1024
_TEMPLATE = f"template-{__version__}-{_PAGE_BYTES}"


class NodeEventLogStorage(SqliteEventLogStorage):
    """A new run's file is a copy of an empty one: creating the tables and their migration stamp takes 60 ms.

    Nor is a file examined again by every process that opens it: `dagster instance migrate` upgrades all of them.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines = Engines()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def dispose(self) -> None:
        self._engines.dispose()
        super().dispose()

    def delete_events(self, run_id: str) -> None:
        """The run's file as a whole, be it readable or not, and what the index has of it."""
        with self.index_connection() as connection:
            self.delete_events_for_run(connection, run_id)
        if self.supports_global_concurrency_limits:
            self.free_concurrency_slots_for_run(run_id)
        self._engines.forget(self.conn_string_for_shard(run_id))
        path = self.path_for_shard(run_id)
        for each in (path, f"{path}-wal", f"{path}-shm"):
            Path(each).unlink(missing_ok=True)

    def store_event(self, event: EventLogEntry) -> None:
        if is_stored(event):
            super().store_event(event)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        if not is_never_run(self._instance, event):
            super().store_asset_check_event(event, event_id)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # The lock is Dagster's: threads of one process take turns.
        with self._db_lock:
            if shard != INDEX_SHARD_NAME:
                self._create(Path(self.path_for_shard(shard)))
            with self._engines.get(self.conn_string_for_shard(shard)).connect() as connection, connection.begin():
                yield connection

    def _create(self, path: Path) -> None:
        if path.exists():
            if path.stat().st_size:
                return
            # A power cut left its name only.
            path.unlink(missing_ok=True)
        copy = path.with_name(f".{path.stem}-{secrets.token_hex(4)}")
        shutil.copyfile(self._template(), copy)
        # Another process may create the same file: whoever is second uses it.
        with suppress(FileExistsError):
            os.link(copy, path)
        copy.unlink()

    def _template(self) -> Path:
        # Not among the runs' files, which are found by their suffix.
        folder = Path(self._base_dir).parent / "template"
        template = folder / f"{_TEMPLATE}.db"
        if not template.exists():
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{_TEMPLATE}-{secrets.token_hex(4)}"
            engine = create_engine(create_db_conn_string(str(folder), name), poolclass=NullPool)
            self._initdb(engine)
            engine.dispose()
            _use_small_pages(folder / f"{name}.db")
            (folder / f"{name}.db").replace(template)
        return template


def _use_small_pages(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Pages cannot change their size while there is a write-ahead log.
        for change in ("journal_mode = DELETE", f"page_size = {_PAGE_BYTES}"):
            connection.execute(f"PRAGMA {change}")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")
