"""SQLite and PostgreSQL behave alike."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Table, Text, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from kamu_assets.database.columns import (
    AccountIDColumn,
    AccountNameColumn,
    DatasetIDColumn,
    DatasetNameColumn,
    EventTimeColumn,
    MultihashColumn,
    RowNumber,
    TimestampColumn,
)
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.identity import AccountID, AccountName, DatasetID, DatasetName
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened

tables = MetaData()
counters = Table(
    "test_counters",
    tables,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
children = Table(
    "test_children",
    tables,
    Column("id", RowNumber, primary_key=True),
    Column("counter", Text, ForeignKey("test_counters.name"), nullable=False),
)
values = Table(
    "test_values",
    tables,
    Column("dataset", DatasetIDColumn),
    Column("account", AccountIDColumn),
    Column("dataset_name", DatasetNameColumn),
    Column("account_name", AccountNameColumn),
    Column("hash", MultihashColumn),
    Column("at", TimestampColumn),
    Column("event_time", EventTimeColumn),
)


@pytest.fixture
def database(database: Database) -> Database:
    with database.transaction() as tx:
        tables.create_all(tx._connection)
        tx.execute(insert(counters).values(name="a", value=0))
    return database


def value(database: Database, name: str = "a") -> int | None:
    with database.reading() as tx:
        return tx.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one_or_none()


def set_value(tx: Transaction, to: int, name: str = "a") -> None:
    tx.execute(update(counters).where(counters.c.name == name).values(value=to))


class StopError(Exception):
    pass


def test_a_transaction_commits(database: Database) -> None:
    with database.transaction() as tx:
        set_value(tx, 1)

    assert value(database) == 1


def test_an_error_rolls_back(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            set_value(tx, 1)
            raise StopError

    with pytest.raises(StopError):
        fail()

    assert value(database) == 0


def test_reading_sees_one_moment(database: Database) -> None:
    with database.reading() as tx:
        before = tx.execute(select(counters.c.value)).scalar_one()
        with database.transaction() as writer:
            set_value(writer, 1)
        after = tx.execute(select(counters.c.value)).scalar_one()

    assert (before, after) == (0, 0)
    assert value(database) == 1


def test_reading_does_not_see_what_is_not_committed(database: Database) -> None:
    with database.transaction() as tx:
        set_value(tx, 1)

        assert value(database) == 0


def test_reading_cannot_write(database: Database) -> None:
    with database.reading() as tx, pytest.raises(RuntimeError, match="cannot write"):
        set_value(tx, 1)

    assert value(database) == 0


def test_reading_cannot_write_even_in_plain_sql(database: Database) -> None:
    with database.reading() as tx, pytest.raises((DBAPIError, DatabaseUnavailableError), match=r"read-?only"):
        tx.execute(text("UPDATE test_counters SET value = 1"))

    assert value(database) == 0


def test_transactions_do_not_nest(database: Database) -> None:
    with database.transaction(), pytest.raises(RuntimeError, match="do not nest"), database.transaction():
        pass

    with database.transaction() as tx:
        set_value(tx, 1)


def test_actions_wait_for_the_commit(database: Database) -> None:
    seen = []
    with database.transaction() as tx:
        set_value(tx, 1)
        tx.on_commit(lambda: seen.append(value(database)))

        assert seen == []

    assert seen == [1]


def test_actions_may_open_transactions(database: Database) -> None:
    def again() -> None:
        with database.transaction() as tx:
            set_value(tx, 2)

    with database.transaction() as tx:
        tx.on_commit(again)

    assert value(database) == 2


def test_a_rollback_forgets_actions(database: Database) -> None:
    seen: list[str] = []

    def fail() -> None:
        with database.transaction() as tx:
            tx.on_commit(lambda: seen.append("on commit"))
            tx.before_commit(lambda: seen.append("before commit"))
            raise StopError

    with pytest.raises(StopError):
        fail()

    assert seen == []


def test_an_action_that_fails_does_not_undo_the_commit(database: Database) -> None:
    seen = []

    def fail() -> None:
        raise StopError

    with database.transaction() as tx:
        set_value(tx, 1)
        tx.on_commit(fail)
        tx.on_commit(lambda: seen.append("next"))

    assert value(database) == 1
    assert seen == ["next"]


def test_what_is_done_before_the_commit_belongs_to_the_transaction(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        set_value(tx, 2)
        raise StopError

    with database.transaction() as tx:
        tx.before_commit(lambda: set_value(tx, 1))
    with pytest.raises(StopError), database.transaction() as failing:
        failing.before_commit(lambda: fail(failing))

    assert value(database) == 1


def test_threads_do_not_lose_updates(database: Database) -> None:
    def increment(_: int) -> None:
        with database.transaction() as tx:
            current = tx.execute(select(counters.c.value).with_for_update()).scalar_one()
            set_value(tx, current + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increment, range(80)))

    assert value(database) == 80


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    seen = []
    with database.transaction() as tx:
        set_value(tx, 1)
        reader = threading.Thread(target=lambda: seen.append(value(database)))
        reader.start()
        reader.join(10)

        assert seen == [0]


def increment_from_outside(url: str, times: int) -> None:
    with opened(url) as database:
        for _ in range(times):
            with database.transaction() as tx:
                current = tx.execute(select(counters.c.value).with_for_update()).scalar_one()
                set_value(tx, current + 1)


def test_processes_do_not_lose_updates(database: Database, migrated_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=increment_from_outside, args=(migrated_url, 25)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert value(database) == 75


def test_parent_and_forked_child_both_go_on(database: Database) -> None:
    assert value(database) == 0

    child = os.fork()
    if child == 0:
        try:
            with database.transaction() as tx:
                set_value(tx, 5)
            os._exit(0 if value(database) == 5 else 1)
        except BaseException:  # noqa: BLE001 - the child must not come back into pytest
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert value(database) == 5
    with database.transaction() as tx:
        set_value(tx, 6)
    assert value(database) == 6


def test_a_child_forked_inside_a_transaction_does_not_disturb_it(database: Database) -> None:
    with database.transaction() as tx:
        set_value(tx, 1)
        child = os.fork()
        if child == 0:
            # What a child does that was not made for us: it looks, and ends without running our `finally`.
            try:
                os._exit(0 if value(database) == 0 else 1)
            finally:
                os._exit(2)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert status == 0
    assert value(database) == 1


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tx.execute(insert(children).values(counter="missing"))


def test_an_insert_can_give_way_or_replace(database: Database) -> None:
    with database.transaction() as tx:
        again = tx.insert(counters).values(name="a", value=7)
        ignored = tx.execute(again.on_conflict_do_nothing()).rowcount
        replaced = tx.insert(counters).values(name="a", value=8)
        tx.execute(replaced.on_conflict_do_update(index_elements=["name"], set_={"value": replaced.excluded.value}))

    assert ignored == 0
    assert value(database) == 8


def test_a_row_is_written_for_each_set_of_parameters(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(insert(counters), [{"name": str(number), "value": number} for number in range(100)])

    with database.reading() as tx:
        assert tx.execute(select(func.count()).select_from(counters)).scalar_one() == 101


def test_values_of_the_domain_come_back_as_they_were(database: Database) -> None:
    row = {
        "dataset": DatasetID.seeded(b"foo"),
        "account": AccountID.parse("did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a"),
        "dataset_name": DatasetName("Foo.Bar"),
        "account_name": AccountName("Kamu"),
        "hash": Multihash.sha3_256(b""),
        "at": Timestamp.parse("2023-01-02T03:04:05.123456789Z"),
        "event_time": Timestamp.parse("9999-12-31T23:59:59Z"),
    }

    with database.transaction() as tx:
        tx.execute(insert(values).values(**row))
        tx.execute(insert(values).values(**dict.fromkeys(row)))

    with database.reading() as tx:
        found = tx.execute(select(values).where(values.c.at == row["at"])).one()
        nothing = tx.execute(select(values).where(values.c.at.is_(None))).one()
    assert dict(found._mapping) == row
    assert str(found.dataset_name) == "Foo.Bar"
    assert set(nothing) == {None}


def test_tables_are_found(database: Database) -> None:
    with database.reading() as tx:
        assert tx.has_table("test_counters")
        assert not tx.has_table("test_missing")
