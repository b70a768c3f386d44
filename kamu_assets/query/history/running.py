"""A query while it runs: the service notes what it learns, others look."""

import threading
from collections.abc import Callable, Sequence

from kamu_assets.auth.model import Caller
from kamu_assets.engines.job_figures import JobFigures
from kamu_assets.odf.identity import AccountID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import Origin, QueryRecord, QueryState
from kamu_assets.query.history.outcomes import state_after, told_of
from kamu_assets.query.history.query_ids import new_id
from kamu_assets.query.model import PinnedDataset

# What is kept of texts: whoever sends a megabyte need not have it kept.
SQL_KEPT = 5_000
MESSAGE_KEPT = 1_000
DATASETS_KEPT = 100


class RunningQuery:
    """Written by the thread that it runs on."""

    def __init__(
        self, caller: Caller, origin: Origin, sql: str | None, *, cancel: threading.Event | None, now: Timestamp
    ) -> None:
        self.id = new_id(now)
        self.cancel = cancel or threading.Event()
        self.figures = JobFigures()
        self.rows = 0
        self.bytes = 0
        # What it has read, up to now.
        self.datasets: Callable[[], Sequence[PinnedDataset]] = tuple
        self._account: AccountID | None = None if caller.account is None else caller.account.id
        self._origin = origin
        self._sql = sql
        self.started_at = now

    def so_far(self, now: Timestamp) -> QueryRecord:
        """As it is at the moment."""
        return self._record(now, None, QueryState.RUNNING)

    def ended(self, now: Timestamp, error: BaseException | None) -> QueryRecord:
        """What became of it."""
        return self._record(now, now, state_after(error), *told_of(error))

    def _record(
        self,
        now: Timestamp,
        finished_at: Timestamp | None,
        state: QueryState,
        error: str | None = None,
        message: str | None = None,
    ) -> QueryRecord:
        return QueryRecord(
            id=self.id,
            account=self._account,
            origin=self._origin,
            sql=_kept(self._sql, SQL_KEPT),
            sql_length=len(self._sql or ""),
            datasets=tuple(self.datasets())[:DATASETS_KEPT],
            started_at=self.started_at,
            seen_at=now,
            finished_at=finished_at,
            waited_seconds=self.figures.waited_seconds,
            rows=self.rows,
            bytes=self.bytes,
            peak_bytes=self.figures.peak_bytes,
            state=state,
            error=error,
            message=_kept(message, MESSAGE_KEPT),
        )


def _kept(text: str | None, length: int) -> str | None:
    """Its beginning, without what no database takes: half characters, and on PostgreSQL U+0000."""
    if text is None:
        return None
    return text[:length].encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
