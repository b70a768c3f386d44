"""The history of queries is the same on SQLite and PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import QueryEndedError, QueryNotFoundError, QueryRecord, QueryState
from kamu_assets.query.history.service import QueryHistory
from kamu_assets.query.model import PinnedDataset
from tests.support.builders import START, a_dataset_id, a_hash
from tests.support.heart import ADMIN, account
from tests.support.query_records import a_record, a_running_record

ALICE, BOB = account("alice"), account("bob")
DAY = 86_400


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def history(database: Database, clock: ManualClock) -> QueryHistory:
    return QueryHistory(database, clock=clock)


def later(seconds: float) -> Timestamp:
    return Timestamp(START.ns + round(seconds * 1_000_000_000))


def some_records(count: int, **fields: object) -> list[QueryRecord]:
    """Oldest first, a second apart."""
    return [a_record(later(number), **fields) for number in range(count)]


def test_a_query_comes_back_as_it_went(history: QueryHistory) -> None:
    read = PinnedDataset(a_dataset_id(), 'a "name"', a_hash())
    record = a_record(account=ALICE.id, datasets=(read,), state=QueryState.FAILED, error="NoMemory", message="é\n…")

    history.add([record])

    assert history.get(ADMIN, record.id) == record
    assert history.get(Caller(ALICE), record.id) == record


def test_pages_are_newest_first_and_go_on_where_the_last_one_ended(history: QueryHistory) -> None:
    records = some_records(7)
    history.add(records)

    first = history.list(ADMIN, limit=3)
    second = history.list(ADMIN, limit=3, before=first[-1].id)
    # Pages that are turned stay the same, whatever comes meanwhile.
    history.add([a_record(later(100))])
    third = history.list(ADMIN, limit=3, before=second[-1].id)

    assert [*first, *second, *third] == records[::-1]


def test_callers_see_what_they_asked_themselves(history: QueryHistory) -> None:
    mine, yours, nobodys = a_record(account=ALICE.id), a_record(later(1), account=BOB.id), a_record(later(2))
    history.add([mine, yours, nobodys])

    assert history.list(Caller(ALICE)) == history.list(Caller(ALICE), account=ALICE.id) == [mine]
    assert history.list(Caller(ALICE), account=BOB.id) == []
    assert history.list(ANONYMOUS) == []
    assert history.list(ADMIN) == [nobodys, yours, mine]
    assert history.list(ADMIN, account=BOB.id) == [yours]
    for caller, hidden in ((Caller(ALICE), yours), (Caller(ALICE), nobodys), (ANONYMOUS, nobodys)):
        with pytest.raises(QueryNotFoundError):
            history.get(caller, hidden.id)
        with pytest.raises(QueryNotFoundError):
            history.cancel(caller, hidden.id)


def test_queries_are_found_by_how_they_ended(history: QueryHistory) -> None:
    records = [a_record(later(number), state=state) for number, state in enumerate(QueryState)]
    history.add(records)

    for record in records:
        if record.state not in (QueryState.RUNNING, QueryState.LOST):
            assert history.list(ADMIN, state=record.state) == [record]


def test_a_query_that_runs_becomes_one_that_has_ended(history: QueryHistory) -> None:
    running = a_running_record()
    history.tend([running])
    assert history.list(ADMIN, state=QueryState.RUNNING) == [running]

    history.tend([replace(running, rows=50, seen_at=later(2))])
    assert [each.rows for each in history.list(ADMIN)] == [50]

    ended = replace(running, rows=99, seen_at=later(3), finished_at=later(3), state=QueryState.OK)
    history.add([ended])
    assert history.list(ADMIN) == [ended]
    assert history.list(ADMIN, state=QueryState.RUNNING) == []


def test_a_query_whose_process_is_silent_is_lost(history: QueryHistory, clock: ManualClock) -> None:
    running = a_running_record()
    history.tend([running])
    clock.set(later(3600))

    assert history.list(ADMIN) == [replace(running, state=QueryState.LOST)]
    assert history.list(ADMIN, state=QueryState.RUNNING) == []
    with pytest.raises(QueryEndedError, match="does not run: it is lost"):
        history.cancel(ADMIN, running.id)


def test_who_tends_a_query_hears_that_it_is_to_be_cancelled(history: QueryHistory) -> None:
    one, other = a_running_record(account=ALICE.id), a_running_record(later(1), account=BOB.id)
    assert history.tend([one, other]) == set()

    history.cancel(Caller(ALICE), one.id)

    assert history.tend([one, other]) == {one.id}
    history.add([replace(one, finished_at=later(3), state=QueryState.CANCELLED)])
    with pytest.raises(QueryEndedError, match="does not run: it was cancelled"):
        history.cancel(ADMIN, one.id)


def test_old_queries_are_forgotten(history: QueryHistory, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kamu_assets.query.history.service._PRUNED_AT_ONCE", 2)
    records = [a_record(later(day * DAY)) for day in range(7)]
    history.add(records)
    clock.set(later(6.5 * DAY))

    assert history.prune(keep_days=2) == 5
    assert history.list(ADMIN) == [records[6], records[5]]
    assert history.prune(keep_days=0) == 2
    assert history.list(ADMIN) == []


def test_secrets_that_look_like_secrets_are_not_kept(history: QueryHistory) -> None:
    text = "select * from f(url => 'https://me:hunter2-hunter2@example.org/', password = 'hunter2-hunter2')"
    record = a_record(sql=text, message=text)

    history.add([record])

    assert "hunter2" not in str(history.get(ADMIN, record.id))


def test_a_page_is_found_by_an_index_alone(history: QueryHistory, database: Database) -> None:
    """However many rows there are, one page of them is read."""
    history.add([*some_records(1000, account=ALICE.id), *some_records(1000, account=BOB.id)])
    history.add([a_record(later(2000), state=QueryState.FAILED), a_running_record(later(2001))])
    with database.transaction() as tx:
        tx.execute(text("ANALYZE"))
    asked: tuple[dict[str, Any], ...] = (
        {},
        {"before": a_record(later(9)).id},
        {"account": ALICE.id},
        {"state": QueryState.FAILED},
        {"state": QueryState.RUNNING},
    )

    for question in asked:
        with database.reading() as tx:
            told = _plan(tx, partial(history._store.list, tx, limit=10, **question))

        assert re.search("index", told, re.IGNORECASE), (question, told)
        assert not re.search("B-TREE|Sort|Seq Scan", told), (question, told)


def _plan(tx: Transaction, look: Callable[[], object]) -> str:
    """How the database finds what is looked for."""
    found: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if tx.is_sqlite else ''}{statement}", parameters)
        found.extend(row[-1] for row in cursor.fetchall())

    event.listen(tx._connection, "before_cursor_execute", explain)
    look()
    return "\n".join(found)
