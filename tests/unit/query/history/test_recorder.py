"""Whatever becomes of a query is noted, and nothing of that is the matter of the query."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.engines.sql.errors import InvalidQueryError, StatementNotAllowedError
from kamu_assets.engines.workers.limits import JobCancelledError, MemoryLimitError, PoolBusyError, TimeLimitError
from kamu_assets.query.history.model import BY_ITSELF, Door, Origin, QueryRecord, QueryState
from kamu_assets.query.history.recorder import QueryRecorder
from kamu_assets.query.history.running import MESSAGE_KEPT, SQL_KEPT
from kamu_assets.query.history.service import QueryHistory
from tests.support.builders import START
from tests.support.heart import ADMIN, account
from tests.support.waiting import wait_until

ALICE = Caller(account("alice"))


class Noted:
    """A recorder, and what is in the history once it is closed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock(START)
        self.history = QueryHistory(database, clock=self.clock)
        self.recorder = QueryRecorder(self.history, clock=self.clock, gather_seconds=0.01)

    def all(self) -> list[QueryRecord]:
        self.recorder.close()
        return list(self.history.list(ADMIN))


@pytest.fixture
def noted() -> Iterator[Noted]:
    database = Database.temporary()
    database.migrate()
    found = Noted(database)
    yield found
    found.recorder.close()
    database.close()


def test_who_asked_what_and_how_long_it_took(noted: Noted) -> None:
    origin = Origin(Door.REST_QUERY, "request-1")
    with noted.recorder.recording(ALICE, origin, "select 1", cancel=None) as query:
        query.rows, query.bytes = 1, 9
        query.figures.waited_seconds, query.figures.peak_bytes = 0.5, 1 << 20
        noted.clock.advance(0.75)

    [record] = noted.all()
    assert (record.account, record.origin, record.sql) == (account("alice").id, origin, "select 1")
    assert (record.started_at, record.seconds, record.waited_seconds) == (START, 0.75, 0.5)
    assert (record.rows, record.bytes, record.peak_bytes) == (1, 9, 1 << 20)
    assert (record.state, record.error, record.message) == (QueryState.OK, None, None)
    assert record.finished_at == noted.clock.now()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InvalidQueryError("no"), QueryState.FAILED),
        (MemoryLimitError("query", 1 << 30), QueryState.FAILED),
        (StatementNotAllowedError("DROP"), QueryState.REFUSED),
        (PoolBusyError("query", 9), QueryState.REFUSED),
        (JobCancelledError("query"), QueryState.CANCELLED),
        (TimeLimitError("query", 60), QueryState.TIMED_OUT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_how_it_failed(noted: Noted, error: Exception, state: QueryState) -> None:
    with (
        pytest.raises(type(error)),
        noted.recorder.recording(ANONYMOUS, BY_ITSELF, "select 1", cancel=None),
    ):
        raise error

    [record] = noted.all()
    assert (record.state, record.error, record.message) == (state, type(error).__name__, str(error))
    assert record.account is None


def test_of_a_bug_nothing_is_told_but_that_it_is_one(noted: Noted) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        noted.recorder.recording(ANONYMOUS, BY_ITSELF, "select 1", cancel=None),
    ):
        raise ZeroDivisionError("in the middle of somebody's data")

    [record] = noted.all()
    assert (record.state, record.error, record.message) == (QueryState.FAILED, "bug", None)


def test_of_long_texts_the_beginning_is_kept(noted: Noted) -> None:
    sql = "select '" + "x" * 1_000_000 + "'"
    with suppress(InvalidQueryError), noted.recorder.recording(ANONYMOUS, BY_ITSELF, sql, cancel=None):
        raise InvalidQueryError("y" * 1_000_000)

    [record] = noted.all()
    assert (record.sql, record.sql_length) == (sql[:SQL_KEPT], len(sql))
    assert record.message == "y" * MESSAGE_KEPT


@pytest.mark.parametrize("text", ["select '\0'", "select '\ud800'", "", "🙂" * SQL_KEPT])
def test_texts_that_no_database_takes_are_kept_all_the_same(noted: Noted, text: str) -> None:
    with noted.recorder.recording(ANONYMOUS, BY_ITSELF, text, cancel=None):
        pass

    [record] = noted.all()
    assert record.sql_length == len(text)


def test_what_runs_long_is_shown_and_can_be_cancelled(noted: Noted) -> None:
    left = threading.Event()
    with (
        suppress(JobCancelledError),
        noted.recorder.recording(ALICE, BY_ITSELF, "select 1", cancel=left) as query,
    ):
        # Those that take no second are nobody's concern.
        assert noted.history.list(ADMIN) == []
        noted.clock.advance(2)
        query.rows = 50
        wait_until(lambda: [each.rows for each in noted.history.list(ALICE, state=QueryState.RUNNING)] == [50])

        noted.history.cancel(ALICE, query.id)
        assert left.wait(60)
        raise JobCancelledError("query")

    [record] = noted.all()
    assert (record.id, record.state, record.seconds) == (query.id, QueryState.CANCELLED, 2)


def test_a_database_without_the_table_is_no_matter_of_the_query(noted: Noted) -> None:
    with noted.database.transaction() as tx:
        tx._connection.exec_driver_sql("DROP TABLE queries")

    with noted.recorder.recording(ANONYMOUS, BY_ITSELF, "select 1", cancel=None):
        noted.clock.advance(2)

    noted.recorder.close()


def test_without_a_history_queries_go_on() -> None:
    recorder = QueryRecorder(None, clock=ManualClock(START))

    with recorder.recording(ANONYMOUS, BY_ITSELF, "select 1", cancel=None) as query:
        query.rows = 1

    recorder.close()
