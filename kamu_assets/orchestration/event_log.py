"""Dagster's event log in SQLite, one file per run as Dagster keeps it, made the quick way."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from dagster import __version__
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes.config_class import ConfigurableClassData
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

_TEMPLATE = f"template-{__version__}"


class NodeEventLogStorage(SqliteEventLogStorage):
    """A new run's file is a copy of an empty one: creating the tables and their migration stamp takes 60 ms.

    Nor is a file examined again by every process that opens it: `dagster instance migrate` upgrades all of them.
    """

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard != INDEX_SHARD_NAME and shard not in self._initialized_dbs:
            self._create(Path(self.path_for_shard(shard)))
            self._initialized_dbs.add(shard)
        with super()._connect(shard) as connection:
            yield connection

    def _create(self, path: Path) -> None:
        if path.exists():
            return
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
            (folder / f"{name}.db").replace(template)
        return template
