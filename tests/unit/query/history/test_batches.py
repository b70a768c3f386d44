"""Queries reach the database in their order, or are counted as missing; who puts them waits for nothing."""

import threading
from collections.abc import Sequence
from contextlib import closing

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.monitoring import metrics
from kamu_assets.query.history.batches import Batches
from kamu_assets.query.history.model import BY_ITSELF
from kamu_assets.query.history.running import RunningQuery
from tests.support.builders import START
from tests.support.waiting import wait_until


def a_query() -> RunningQuery:
    return RunningQuery(ANONYMOUS, BY_ITSELF, "select 1", cancel=None, now=START, on_end=lambda *_: None)


class Shelf:
    """Takes what it is given, unless something is wrong with it."""

    def __init__(self) -> None:
        self.queries: list[RunningQuery] = []
        self.attempts = 0
        self.wrong: Exception | None = None

    def write(self, queries: Sequence[RunningQuery]) -> None:
        self.attempts += 1
        if self.wrong is not None:
            raise self.wrong
        self.queries += queries


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many are missing, each time that some are."""
    counts: list[float] = []
    monkeypatch.setattr(metrics.QUERY_RECORDS_DROPPED, "add", lambda by=1: counts.append(by))
    return counts


def batches_for(shelf: Shelf, *, gather_seconds: float = 0.01, most: int = 1000) -> Batches:
    return Batches(shelf.write, tend=lambda: False, gather_seconds=gather_seconds, most=most)


def test_queries_are_written_soon_and_in_order() -> None:
    shelf, queries = Shelf(), [a_query() for _ in range(700)]

    with closing(batches_for(shelf)) as batches:
        for query in queries:
            batches.put(query)

        wait_until(lambda: shelf.queries == queries)


def test_closing_writes_what_waits() -> None:
    shelf, queries = Shelf(), [a_query() for _ in range(3)]
    batches = batches_for(shelf, gather_seconds=100)
    for query in queries:
        batches.put(query)

    batches.close()

    assert shelf.queries == queries


def test_a_database_in_trouble_gets_them_later(dropped: list[float]) -> None:
    shelf, queries = Shelf(), [a_query() for _ in range(20)]
    shelf.wrong = DatabaseUnavailableError("not now")
    with closing(batches_for(shelf)) as batches:
        for query in queries[:10]:
            batches.put(query)
        wait_until(lambda: shelf.attempts > 2)

        shelf.wrong = None
        for query in queries[10:]:
            batches.put(query)
        wait_until(lambda: shelf.queries == queries)
    assert sum(dropped) == 0


def test_what_cannot_be_kept_any_longer_is_dropped_and_counted(dropped: list[float]) -> None:
    shelf, queries = Shelf(), [a_query() for _ in range(8)]
    shelf.wrong = DatabaseUnavailableError("not now")
    batches = batches_for(shelf, most=5)
    for query in queries:
        batches.put(query)
    wait_until(lambda: shelf.attempts > 1)
    # Some may have been on their way to the database when others came.
    missing = sum(dropped)
    assert missing <= 3

    batches.close()

    assert sum(dropped) == 8
    assert shelf.queries == []


def test_what_can_never_be_written_stops_nothing(dropped: list[float]) -> None:
    shelf, query = Shelf(), a_query()
    shelf.wrong = ZeroDivisionError("a bug")
    with closing(batches_for(shelf)) as batches:
        batches.put(a_query())
        wait_until(lambda: dropped == [1])

        shelf.wrong = None
        batches.put(query)
        wait_until(lambda: shelf.queries == [query])


def test_nothing_goes_on_while_nothing_is_asked() -> None:
    turns, shelf = [0], Shelf()

    def tend() -> bool:
        turns[0] += 1
        return turns[0] < 3

    batches = Batches(shelf.write, tend=tend, gather_seconds=0.001)
    before = threading.active_count()
    assert turns == [0]
    batches.begin()
    wait_until(lambda: turns == [3])
    wait_until(lambda: not batches._work.is_set())

    assert (turns, shelf.attempts, threading.active_count()) == ([3], 0, before + 1)
    batches.close()
    assert threading.active_count() == before
