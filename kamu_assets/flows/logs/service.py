"""The log of a flow, for whoever may read its dataset."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.datasets.service import Datasets
from kamu_assets.errors import NotFoundError
from kamu_assets.flows.history.events import FlowEvent
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.logs.cleaning import LogCleaner
from kamu_assets.flows.logs.lines import START, LogCursor, LogLine, LogPage, RunLine, RunLogs
from kamu_assets.flows.logs.merging import merged
from kamu_assets.flows.model import Attempt, Flow, FlowState
from kamu_assets.flows.service import FlowService
from kamu_assets.monitoring.whereabouts import PathNamer
from kamu_assets.odf.identity import DatasetID

# Whoever works on runs taps those who follow logs.
WAKEUP = "flow_log"
# Followers look by themselves this often: some taps are lost, and other machines send none.
IDLE_SECONDS = 2.0
# Lines that come quickly one after another are read together.
COURTESY_SECONDS = 0.1
PAGE_LINES = 500
_RUN_LINES = 200


class AttemptNotFoundError(NotFoundError):
    """A flow that has ended never came so far."""

    def __init__(self, flow: Flow, attempt: int) -> None:
        super().__init__(f"flow {flow.id} had {flow.attempt} attempts, no attempt {attempt}")


class FlowLogs:
    """Reads the logs of flows, page by page or as they grow."""

    def __init__(
        self,
        *,
        database: Database,
        flows: FlowService,
        datasets: Datasets,
        runs: Callable[[], RunLogs],
        wakeups: Wakeups,
        paths: PathNamer,
        secrets_of: Callable[[DatasetID | None], Iterable[str]],
    ) -> None:
        self._database = database
        self._flows = flows
        self._datasets = datasets
        self._open_runs = runs
        self._wakeups = wakeups
        self._paths = paths
        self._secrets_of = secrets_of
        self._history = FlowHistory()

    def page(
        self,
        caller: Caller,
        flow_id: int,
        *,
        after: LogCursor = START,
        attempt: int | None = None,
        limit: int = PAGE_LINES,
    ) -> LogPage:
        """What follows a place in the log, of all of it or of one attempt."""
        # In this order: a flow that has ended here has all its events, and its events all their runs' lines.
        flow = self._flows.get(caller, flow_id)
        if attempt is not None and attempt > flow.attempt and flow.state is FlowState.FINISHED:
            raise AttemptNotFoundError(flow, attempt)
        with self._database.reading() as tx:
            events = self._history.events(tx, flow.id, after=after.event)
            runs = self._history.attempts(tx, flow.id)
        lines = list(islice(self._lines(events, runs, after, attempt), limit + 1))
        kept = lines[:limit]
        ended = flow.state is FlowState.FINISHED or _has_ended(runs, attempt)
        cleaner = self._cleaner(caller, flow)
        return LogPage(
            [replace(line, text=cleaner.clean(line.text)) for line in kept],
            cursor=kept[-1].cursor if kept else after,
            has_more=len(lines) > limit,
            is_over=ended and len(lines) <= limit,
        )

    def follow(
        self, caller: Caller, flow_id: int, *, after: LogCursor = START, attempt: int | None = None
    ) -> Iterator[LogPage]:
        """Pages as the log grows, until the flow ends; empty ones now and then, so that nobody waits in vain."""
        with self._wakeups.listen(WAKEUP) as listener:
            while True:
                page = self.page(caller, flow_id, after=after, attempt=attempt)
                yield page
                if page.is_over:
                    return
                after = page.cursor
                if not page.has_more and listener.wait(IDLE_SECONDS):
                    time.sleep(COURTESY_SECONDS)

    @cached_property
    def _runs(self) -> RunLogs:
        # Opened for the first flow that has a run: it may take seconds.
        return self._open_runs()

    def close(self) -> None:
        if "_runs" in self.__dict__:
            self._runs.close()

    def _lines(
        self, events: Sequence[FlowEvent], runs: Sequence[Attempt], after: LogCursor, attempt: int | None
    ) -> Iterator[LogLine]:
        wanted = {each.number: each.run_id for each in runs if attempt in {None, each.number}}
        lines = merged(events, after, partial(self._lines_of, wanted))
        return lines if attempt is None else (line for line in lines if line.attempt == attempt)

    def _lines_of(self, runs: Mapping[int, str], attempt: int, after: int) -> Iterator[RunLine]:
        run_id = runs.get(attempt)
        while run_id is not None:
            lines = self._runs.lines(run_id, after=after, limit=_RUN_LINES)
            yield from lines
            if len(lines) < _RUN_LINES:
                return
            after = lines[-1].id

    def _cleaner(self, caller: Caller, flow: Flow) -> LogCleaner:
        return LogCleaner(
            secrets=self._secrets_of(flow.dataset_id), paths=self._paths, name_of=partial(self._name, caller)
        )

    def _name(self, caller: Caller, dataset: DatasetID) -> str | None:
        try:
            return str(self._datasets.resolve(caller, dataset).alias)
        except NotFoundError:
            return None


def _has_ended(runs: Sequence[Attempt], attempt: int | None) -> bool:
    return any(each.number == attempt and each.finished_at is not None for each in runs)
