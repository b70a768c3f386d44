"""Dagster's runs in SQLite, through connections that stay open."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._serdes.config_class import ConfigurableClassData
from sqlalchemy import Connection, Engine

from kamu_assets.orchestration.storages.sqlite_engines import lasting_engine


class NodeRunStorage(SqliteRunStorage):
    """The same tables in the same file."""

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        return cls.from_local(inst_data=inst_data, **config_value)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._lasting.connect() as connection, connection.begin():
            yield connection

    def dispose(self) -> None:
        self._lasting.dispose()

    @cached_property
    def _lasting(self) -> Engine:
        return lasting_engine(self._conn_string)
