"""Frequent statements do what SQLAlchemy does, on either database and among ordinary statements."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Column, MetaData, Table, Text, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from kamu_assets.database.columns import DatasetIDColumn, EventTimeColumn, RowNumber
from kamu_assets.database.database import Database
from kamu_assets.database.errors import NumberTooLargeError
from kamu_assets.database.frequent import Frequent
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

tables = MetaData()
rows = Table(
    "test_rows",
    tables,
    Column("id", RowNumber, primary_key=True),
    Column("dataset", DatasetIDColumn, unique=True, nullable=False),
    Column("kind", Text, nullable=False),
    Column("size", BigInteger),
    Column("at", EventTimeColumn),
    Column("is_new", Boolean),
)

ADD = Frequent(insert(rows).inline(), columns=("dataset", "kind", "size", "at", "is_new"))
GROW = Frequent(
    update(rows)
    .where(rows.c.dataset == bindparam("of"), rows.c.kind == "grows")
    .values(size=rows.c.size + bindparam("by"))
)
FIND = Frequent(select(rows.c.dataset, rows.c.size, rows.c.at, rows.c.is_new).where(rows.c.dataset == bindparam("of")))
A, B = DatasetID.seeded(b"a"), DatasetID.seeded(b"b")


@pytest.fixture
def database(database: Database) -> Database:
    with database.transaction() as tx:
        tables.create_all(tx._connection)
    return database


def a_row(of: DatasetID, **other: Any) -> dict[str, Any]:
    return {"dataset": of, "kind": "grows", "size": 1, "at": None, "is_new": None, **other}


def test_values_come_back_as_they_were_and_by_name(database: Database) -> None:
    moment = Timestamp.parse("9999-12-31T23:59:59.999999999Z")
    with database.transaction() as tx:
        assert tx.change(ADD, a_row(A, at=moment, is_new=True), a_row(B, size=None, is_new=False)) == 2

    with database.reading() as tx:
        (first,), (second,) = tx.find(FIND, {"of": A}), tx.find(FIND, {"of": B})
        assert (first.dataset, first.size, first.at) == (A, 1, moment)
        assert (second.dataset, second.size, second.at) == (B, None, None)
        assert (first.is_new, second.is_new) == (True, False)
        assert isinstance(first.is_new, bool)
        assert tx.find(FIND, {"of": DatasetID.seeded(b"c")}) == []


def test_it_tells_how_many_rows_changed(database: Database) -> None:
    with database.transaction() as tx:
        assert tx.change(ADD) == 0
        tx.change(ADD, a_row(A), a_row(B, kind="stays"))
        assert [tx.change(GROW, {"of": of, "by": 2}) for of in (A, B)] == [1, 0]
        assert tx.find(FIND, {"of": A})[0].size == 3


def test_it_shares_the_transaction_with_ordinary_statements(database: Database) -> None:
    with database.transaction() as tx:
        tx.change(ADD, a_row(A))
        assert tx.execute(select(rows.c.size)).scalar_one() == 1
        tx.execute(update(rows).values(size=5))
        assert tx.find(FIND, {"of": A})[0].size == 5

    with database.reading() as tx:
        before = tx.find(FIND, {"of": A})[0].size
        with database.transaction() as writer:
            writer.change(GROW, {"of": A, "by": 1})
        assert (before, tx.execute(select(rows.c.size)).scalar_one()) == (5, 5)


@pytest.mark.parametrize("mixed", [True, False])
def test_what_fails_is_undone_and_told_alike(database: Database, *, mixed: bool) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            tx.change(ADD, a_row(A))
            if mixed:
                tx.execute(update(rows).values(size=5))
            tx.change(ADD, a_row(A))

    with pytest.raises(IntegrityError):
        fail()
    with database.transaction() as tx:
        assert tx.find(FIND, {"of": A}) == []
        tx.change(ADD, a_row(A))


def test_a_number_without_room_is_refused(database: Database) -> None:
    with pytest.raises(NumberTooLargeError), database.transaction() as tx:
        tx.change(ADD, a_row(A, size=2**63))


def test_reading_cannot_write(database: Database) -> None:
    with database.reading() as tx, pytest.raises(RuntimeError, match="cannot write"):
        tx.change(ADD, a_row(A))
