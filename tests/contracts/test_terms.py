"""What a leader of an earlier term begins comes to nothing, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from kamu_assets.database.database import Database
from kamu_assets.database.terms import DeposedError, Term, begin_term, newest_term
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened

ROLE = "scheduler"
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
