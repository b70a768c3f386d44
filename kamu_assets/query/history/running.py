"""A query while it runs: the service notes what it learns, others look.

Little is done here at each query; what can wait is done where nobody waits for it.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Final, Self

from kamu_assets.auth.model import Caller
from kamu_assets.engines.workers.job_figures import JobFigures
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import Origin, QueryRecord, QueryState
from kamu_assets.query.history.outcomes import state_after, told_of
from kamu_assets.query.history.query_ids import new_id
from kamu_assets.query.model import PinnedDataset

# What is kept of texts: whoever sends a megabyte need not have it kept.
SQL_KEPT: Final = 5_000
MESSAGE_KEPT: Final = 1_000
DATASETS_KEPT: Final = 100


class RunningQuery:
    """Around the work of a query, on its thread."""

    def __init__(
        self,
        caller: Caller,
        origin: Origin,
        sql: str | None,
        *,
        cancel: threading.Event | None,
        now: Timestamp,
        on_end: Callable[["RunningQuery", BaseException | None], None],
    ) -> None:
        self.origin = origin
        self.started_at = now
        self.cancel = cancel or threading.Event()
        self.figures = JobFigures()
        self.rows = 0
        self.bytes = 0
        # What it has read, up to now.
        self.datasets: Callable[[], Sequence[PinnedDataset]] = tuple
        self.state = QueryState.RUNNING
        self.finished_at: Timestamp | None = None
        self.sql = sql and sql[:SQL_KEPT]
        self._sql_length = len(sql or "")
        self._account = caller.account
        self._told: tuple[str | None, str | None] = None, None
        self._on_end = on_end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._on_end(self, error)

    @cached_property
    def id(self) -> str:
        """Known to nobody before somebody looks."""
        return new_id(self.started_at)

    def end(self, now: Timestamp, error: BaseException | None) -> None:
        """From now on it is as it is, and holds nothing that its work needed."""
        read = tuple(self.datasets())
        self.datasets = lambda: read
        self.finished_at = now
        self.state = state_after(error)
        if error is not None:
            self._told = told_of(error)

    def seconds(self, now: Timestamp) -> float:
        """How long it took by then."""
        return max(0, now.ns - self.started_at.ns) / 1e9

    def record(self, now: Timestamp) -> QueryRecord:
        """As it is, or how it ended."""
        error, message = self._told
        return QueryRecord(
            id=self.id,
            account=None if self._account is None else self._account.id,
            origin=self.origin,
            sql=_storable(self.sql),
            sql_length=self._sql_length,
            datasets=tuple(self.datasets())[:DATASETS_KEPT],
            started_at=self.started_at,
            seen_at=self.finished_at or now,
            finished_at=self.finished_at,
            waited_seconds=self.figures.waited_seconds,
            rows=self.rows,
            bytes=self.bytes,
            peak_bytes=self.figures.peak_bytes,
            state=self.state,
            error=error,
            message=_storable(message and message[:MESSAGE_KEPT]),
        )


def _storable(text: str | None) -> str | None:
    """Without what no database takes: half characters, and on PostgreSQL U+0000."""
    if text is None:
        return None
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
