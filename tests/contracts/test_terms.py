"""What a leader of an earlier term begins comes to nothing, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from kamu_assets.database import terms
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.terms import DeposedError, Term, begin_term, newest_term
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened
from tests.support.waiting import wait_until

ROLE = "scheduler"
# Begins a transaction as the leader of the first term, and then waits for a lock that somebody else has.
WAITING = """
import sys
from kamu_assets.database.database import Database
from kamu_assets.database.terms import Term
from kamu_assets.odf.timestamp import Timestamp
database = Database.open(sys.argv[1])
with database.fenced(Term("scheduler", 1, "one", Timestamp(2)).require).transaction() as tx:
    print("begun", flush=True)
    tx.lock("of somebody else")
"""
THEN, NOW = Timestamp(1), Timestamp(2)


def begin(database: Database, holder: str = "one") -> Term:
    with database.transaction() as tx:
        return begin_term(tx, ROLE, holder=holder, now=NOW)


def note(database: Database, text: str) -> None:
    """A change that others see."""
    with database.transaction() as tx:
        begin_term(tx, text, holder=text, now=THEN)


def is_noted(database: Database, text: str) -> bool:
    with database.reading() as tx:
        return newest_term(tx, text) is not None


def test_terms_are_counted_and_told(database: Database) -> None:
    with database.reading() as tx:
        assert newest_term(tx, ROLE) is None
    note(database, "else")

    terms = [begin(database, holder) for holder in ("one", "two")]

    assert terms == [Term(ROLE, 1, "one", NOW), Term(ROLE, 2, "two", NOW)]
    with database.reading() as tx:
        assert newest_term(tx, ROLE) == terms[1]
        assert [term.is_newest(tx) for term in terms] == [False, True]


def test_only_the_newest_leader_changes_rows(database: Database) -> None:
    first = begin(database)
    leading = database.fenced(first.require)
    note(leading, "before")
    second = begin(database, "two")

    with pytest.raises(DeposedError, match="one is no longer scheduler: its term 1 is over"):
        note(leading, "after")
    note(database.fenced(second.require), "later")

    assert [is_noted(database, text) for text in ("before", "after", "later")] == [True, False, True]
    # What it reads does no harm.
    assert is_noted(leading, "later")


def test_a_term_begins_when_what_the_leader_before_had_begun_is_over(migrated_url: str) -> None:
    with opened(migrated_url) as database, opened(migrated_url) as other:
        first = begin(database)
        begun = threading.Event()
        seen: list[bool] = []

        def take_over() -> None:
            begun.set()
            begin(other, "two")
            seen.append(is_noted(other, "late"))

        successor = threading.Thread(target=take_over)
        with database.fenced(first.require).transaction() as tx:
            successor.start()
            begun.wait(60)
            successor.join(0.3)
            assert successor.is_alive(), "the next term did not wait"
            begin_term(tx, "late", holder="one", now=NOW)
        successor.join(60)

        assert seen == [True]


def test_a_transaction_of_which_nothing_more_is_heard_is_ended(
    migrated_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "_ENDED_SECONDS", 0.2)
    with opened(migrated_postgres) as database, opened(migrated_postgres) as other:
        leading = database.fenced(begin(database).require)

        def is_stopped(tx: Transaction) -> None:
            assert begin(other, "two").number == 2
            begin_term(tx, "late", holder="one", now=NOW)

        with pytest.raises(DatabaseUnavailableError):
            in_transaction(leading, is_stopped)

        assert not is_noted(other, "late")


def in_transaction(database: Database, do: Callable[[Transaction], None]) -> None:
    with database.transaction() as tx:
        do(tx)


def test_whoever_dies_while_it_waits_for_a_lock_keeps_nobody_from_leading(migrated_postgres: str) -> None:
    with opened(migrated_postgres) as database, opened(migrated_postgres) as other:
        begin(database)
        command = [sys.executable, "-c", WAITING, migrated_postgres]
        with other.transaction() as tx, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            tx.lock("of somebody else")
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            wait_until(lambda: somebody_waits(database))
            process.kill()
            process.wait()

            with database.transaction() as next_term:
                # Sooner than the dead one would have given up.
                next_term.execute(text("SET LOCAL lock_timeout = '20s'"))
                assert begin_term(next_term, ROLE, holder="two", now=NOW).number == 2


def somebody_waits(database: Database) -> bool:
    with database.reading() as tx:
        waiting = text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return tx.execute(waiting).first() is not None
