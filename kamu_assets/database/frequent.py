"""Statements that every commit executes: compiled once, and handed to SQLite's driver without a detour.

What SQLAlchemy does for each execution takes several times as long as a look into an index. PostgreSQL is a network
away, so there the ordinary way is taken.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from kamu_assets.database.errors import plainly

_Change = Callable[[Any], Any]


class _Compiled(NamedTuple):
    """A statement as SQLite's driver takes it."""

    sql: str
    # What the statement brings itself.
    constants: Mapping[str, Any]
    # Names, and how their values and those of the columns found become the driver's, and back.
    parameters: Sequence[tuple[str, _Change | None]]
    columns: Sequence[_Change | None]
    row: Callable[..., Any]


class Frequent:
    """One statement, whose parameters are its `bindparam`s, or the `columns` of an INSERT."""

    def __init__(self, statement: Select[Any] | Insert | Update, *, columns: Sequence[str] | None = None) -> None:
        self.statement = statement
        self._columns = columns

    def execute(self, connection: sqlite3.Connection, given: Mapping[str, Any]) -> tuple[int, list[Any]]:
        """How many rows it changed, and those it found, named by column as SQLAlchemy does; fails plainly."""
        compiled = self._compiled
        values = dict(compiled.constants)
        for name, change in compiled.parameters:
            values[name] = change(given[name]) if change else given[name]
        try:
            cursor = connection.execute(compiled.sql, values)
            found = cursor.fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise plainly(as_sqlalchemy(compiled.sql, error)) from error
        return cursor.rowcount, [_read(compiled, row) for row in found]

    @cached_property
    def _compiled(self) -> _Compiled:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = self.statement.compile(dialect=dialect, column_keys=self._columns)
        binds = [(name, bind) for bind, name in compiled.bind_names.items()]
        found = self.statement.selected_columns if isinstance(self.statement, Select) else ()
        return _Compiled(
            compiled.string,
            {name: bind.value for name, bind in binds if not bind.required},
            [(name, bind.type.bind_processor(dialect)) for name, bind in binds if bind.required],
            [column.type.result_processor(dialect, None) for column in found],
            namedtuple("Row", [str(column.key) for column in found]),  # noqa: PYI024 - its fields are known only here
        )


def _read(compiled: _Compiled, row: tuple[Any, ...]) -> Any:
    changes = zip(compiled.columns, row, strict=True)
    return compiled.row(*[change(value) if change else value for change, value in changes])


def as_sqlalchemy(statement: str, error: sqlite3.Error | OverflowError) -> Exception:
    """The error that SQLAlchemy makes of one of the driver."""
    if isinstance(error, OverflowError):
        return error
    return DBAPIError.instance(statement, None, error, sqlite3.Error)
