"""What goes wrong around a database is told in our words, and does not last longer than its cause."""

import resource
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, make_url, select, text

from kamu_assets.database import connections, crowds
from kamu_assets.database.database import Database
from kamu_assets.database.errors import (
    DatabaseBusyError,
    DatabaseCrowdedError,
    DatabaseFullError,
    DatabaseUnavailableError,
    NumberTooLargeError,
    TransactionConflictError,
)
from kamu_assets.errors import ConflictError, InvalidError, UnavailableError
from kamu_assets.monitoring.metric import LEDGER
from tests.contracts.conftest import opened

tables = MetaData()
notes = Table(
    "test_notes", tables, Column("id", Integer, primary_key=True), Column("text", Text), Column("size", BigInteger)
)


@pytest.fixture
def postgres(postgres_database: str) -> Iterator[Database]:
    with opened(postgres_database) as database:
        yield database


def create_notes(database: Database) -> None:
    with database.transaction() as tx:
        tables.create_all(tx._connection)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with opened("postgresql://kamu@127.0.0.1:1/nowhere") as database:
        with pytest.raises(DatabaseUnavailableError, match="database unavailable") as error, database.reading():
            pass

        assert isinstance(error.value, UnavailableError)


def test_a_password_is_not_told() -> None:
    url = "postgresql://kamu:hunter2@127.0.0.1:1/nowhere"

    with opened(url) as database, pytest.raises(DatabaseUnavailableError) as error, database.transaction():
        pass

    assert "hunter2" not in str(error.value)
    assert "hunter2" not in str(error.value.__cause__)


@pytest.fixture
def crowded(postgres: Database, postgres_database: str) -> Iterator[Database]:
    """The same server, for somebody who may have three connections."""
    role = make_url(postgres_database).database
    with postgres.transaction() as tx:
        tx.execute(text(f'CREATE ROLE "{role}" LOGIN CONNECTION LIMIT 3'))
    url = make_url(postgres_database).set(username=role)
    with opened(url.render_as_string(hide_password=False)) as database:
        yield database
    with postgres.transaction() as tx:
        tx.execute(text(f'DROP ROLE "{role}"'))


def waits() -> float:
    return LEDGER.open().get_sample_value("kamu_node_database_waits_total") or 0


def test_whoever_finds_no_connection_left_waits_for_one(crowded: Database) -> None:
    """DS-10"""
    before = waits()

    def work(number: int) -> int:
        with crowded.transaction() as tx:
            return int(tx.execute(text(f"SELECT {number} FROM pg_sleep(0.02)")).scalar_one())

    with ThreadPoolExecutor(16) as many:
        assert list(many.map(work, range(100))) == list(range(100))
    assert waits() > before


def test_a_server_without_connections_for_long_is_told_as_that(
    crowded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DS-10"""
    monkeypatch.setattr(crowds, "PATIENCE_SECONDS", 0.2)

    told = pytest.raises(DatabaseCrowdedError, match=r"no connection left \(PostgreSQL's max_connections\)")
    with crowded.reading(), crowded.reading(), crowded.reading(), told:
        crowded.require_current()


def terminate_others(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )


def test_a_lost_connection_ends_its_transaction_only(postgres: Database, postgres_database: str) -> None:
    create_notes(postgres)

    def lose() -> None:
        with opened(postgres_database) as other, postgres.transaction() as tx:
            tx.execute(insert(notes).values(id=1))
            terminate_others(other)
            tx.execute(insert(notes).values(id=2))

    with pytest.raises(DatabaseUnavailableError, match="database unavailable"):
        lose()

    with postgres.reading() as tx:
        assert tx.execute(select(notes)).all() == []


def test_a_connection_that_was_lost_while_idle_is_replaced(postgres: Database, postgres_database: str) -> None:
    create_notes(postgres)
    with opened(postgres_database) as other:
        terminate_others(other)

    with postgres.transaction() as tx:
        tx.execute(insert(notes).values(id=1))

    with postgres.reading() as tx:
        assert tx.execute(select(notes.c.id)).scalars().all() == [1]


def test_a_deadlock_is_a_conflict(postgres: Database) -> None:
    def collide() -> None:
        with postgres.transaction() as tx:
            tx.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"))

    with pytest.raises(TransactionConflictError) as error:
        collide()

    assert isinstance(error.value, ConflictError)


def test_a_lock_that_is_held_too_long_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path / 'node.db'}"

    with opened(url) as holder, opened(url) as database, holder.transaction():
        with pytest.raises(DatabaseBusyError), database.transaction():
            pass

        with database.reading() as tx:
            assert not tx.has_table("test_notes")


def test_a_lock_of_a_server_that_is_held_too_long_is_busy(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)

    with opened(postgres_database) as holder, opened(postgres_database) as database:
        with holder.transaction() as tx:
            tx.lock("test")
            with pytest.raises(DatabaseBusyError), database.transaction() as late:
                late.lock("test")

        with database.transaction() as tx:
            tx.lock("test")


def test_a_full_disk_is_told_and_rolls_back(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'node.db'}") as database:
        create_notes(database)

        def fill() -> None:
            with database.transaction() as tx:
                tx.execute(text("PRAGMA max_page_count = 8"))
                tx.execute(insert(notes).values(text="x" * 1_000_000))

        with pytest.raises(DatabaseFullError, match="no space left"):
            fill()

        with database.reading() as tx:
            assert tx.execute(select(notes)).all() == []


def test_a_disk_that_is_full_already_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    with opened(url) as database:
        create_notes(database)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    with opened(url) as database:
        # No file may grow.
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
        try:
            with pytest.raises(DatabaseFullError, match="no space left"), database.reading():
                pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        with database.reading() as tx:
            assert tx.execute(select(notes)).all() == []


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"not a database " * 1000)

    with opened(f"sqlite:///{path}") as database, pytest.raises(DatabaseUnavailableError, match="not a database"):
        create_notes(database)


def test_a_file_that_was_cut_is_told_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with opened(f"sqlite:///{path}") as database:
        database.migrate()
    with path.open("r+b") as file:
        file.truncate(20_000)

    with opened(f"sqlite:///{path}") as database, pytest.raises(DatabaseUnavailableError, match="kamu-node doctor"):
        database.migrate()


def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/node.db"

    with opened(url) as database, pytest.raises(DatabaseUnavailableError, match="unable to open"):
        create_notes(database)


@pytest.mark.parametrize(
    "url",
    ["", "node.db", "mysql://host/name", "sqlite", "sqlite://", "sqlite:///:memory:", "postgresql://host:port/name"],
)
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError, match=r"database\.url"):
        Database.open(url)


def test_durability_reaches_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'node.db'}"
    full = Database.open(url)
    with opened(url) as fast, fast.transaction() as tx:
        normal = tx.execute(text("PRAGMA synchronous")).scalar_one()
    with full.transaction() as tx:
        synced = tx.execute(text("PRAGMA synchronous")).scalar_one()
        journal = tx.execute(text("PRAGMA journal_mode")).scalar_one()
    full.close()

    assert (normal, synced, journal) == (1, 2, "wal")


def test_durability_reaches_postgres(postgres: Database, postgres_database: str) -> None:
    full = Database.open(postgres_database)
    with postgres.transaction() as tx:
        fast = tx.execute(text("SHOW synchronous_commit")).scalar_one()
    with full.transaction() as tx:
        synced = tx.execute(text("SHOW synchronous_commit")).scalar_one()
    full.close()

    assert (fast, synced) == ("off", "on")


def test_a_temporary_database_ends_with_its_owner() -> None:
    database = Database.temporary()
    create_notes(database)
    with database.transaction() as tx:
        folder = Path(str(tx._connection.engine.url.database)).parent

    assert folder.is_dir()
    database.close()
    del tx, database

    assert not folder.exists()


def test_readers_do_not_create_a_database_in_rollback_mode(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with opened(f"sqlite:///{path}") as database, database.transaction() as tx:
        tables.create_all(tx._connection)

    connection = sqlite3.connect(path)
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == ("wal",)


@pytest.mark.parametrize("size", [2**63, 2**64, -(2**63) - 1])
def test_a_number_that_no_column_holds_is_refused(database: Database, size: int) -> None:
    create_notes(database)

    with pytest.raises(NumberTooLargeError) as error, database.transaction() as tx:
        tx.execute(insert(notes).values(id=1, size=size))

    assert isinstance(error.value, InvalidError)
    with database.reading() as tx:
        assert tx.execute(select(notes)).all() == []
