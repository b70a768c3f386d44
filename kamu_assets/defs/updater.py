"""How the node brings a dataset up to date inside a Dagster run."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.results import NothingToPoll, PullResult, Updated, UpToDate
from kamu_assets.errors import ConflictError, KamuError
from kamu_assets.flows.achievements import Achieved, tell_nobody
from kamu_assets.flows.arguments import IngestArguments
from kamu_assets.flows.errors import SourceLostError
from kamu_assets.flows.results import DataAdded, NothingNew
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.reports.materialization import Materialization, Materializations

# A push or a command may commit between our plan and our commit; the next plan starts from its head.
MAX_CONFLICTS = 5


class Puller(Protocol):
    """The coordinator, as far as runs need it."""

    def pull(
        self,
        caller: Caller,
        dataset: DatasetID,
        *,
        run_id: str | None = None,
        fetch_uncacheable: bool = False,
        max_slices: int | None = None,
        on_progress: Callable[[Updated], None] | None = None,
    ) -> PullResult:
        """Poll a root, compute a derivative."""
        ...


def _nothing(_run_id: str, _dataset: DatasetID) -> FlowConfig:
    """Nobody asked for anything special."""
    return PLAIN


def _by_nobody(_run_id: str, _dataset: DatasetID) -> bool:
    """Nobody counts on it."""
    return False


@dataclass(slots=True)
class _Committed:
    """What pulls have brought so far: it stays, whatever becomes of the rest."""

    before: Updated | None = None
    # By the pull that goes on.
    now: Updated | None = None

    def begin(self) -> None:
        """Another pull."""
        self.before, self.now = self.all, None

    def hear(self, update: Updated) -> None:
        """So far the pull that goes on has come."""
        self.now = update

    @property
    def all(self) -> Updated | None:
        """As one update."""
        if self.before is None or self.now is None:
            return self.now or self.before
        return self.before.then(self.now)


class NodeUpdater:
    """Pulls through the coordinator, as the node's administrator: who may start flows was decided before."""

    def __init__(
        self,
        *,
        coordinator: Puller,
        caller: Caller,
        materializations: Materializations,
        asked_of: Callable[[str, DatasetID], FlowConfig] = _nothing,
        is_counted_on: Callable[[str, DatasetID], bool] = _by_nobody,
        achieved: Achieved = tell_nobody,
    ) -> None:
        self._asked_of = asked_of
        self._is_counted_on = is_counted_on
        self._achieved = achieved
        self._coordinator = coordinator
        self._caller = caller
        self._materializations = materializations

    def update(self, dataset: DatasetID, *, run_id: str, log: logging.Logger) -> Materialization | None:
        """Pull until nothing is left to do, or as far as was asked; None when nothing came of it.

        SourceLostError where somebody counts on a source that is not there any more.
        """
        began = time.monotonic()
        committed = _Committed()
        try:
            last = self._pull_all(dataset, run_id, log, committed)
        except BaseException:
            self._keep_part(dataset, run_id, log, committed.all)
            raise
        done = committed.all
        if done is None:
            uncacheable = isinstance(last, UpToDate) and last.uncacheable
            self._achieved(run_id, dataset, NothingNew(uncacheable))
            return None
        done = replace(done, has_more=isinstance(last, Updated) and last.has_more)
        seconds = time.monotonic() - began
        found = self._materializations.describe(dataset, after=done.old_head, until=done.new_head, seconds=seconds)
        self._achieved(run_id, dataset, DataAdded(done.blocks, done.records, found.watermark_moved_to, done.has_more))
        told = {"late_rows": done.late_rows, "has_more": done.has_more}
        return replace(found, metadata={**found.metadata, **{name: value for name, value in told.items() if value}})

    def _pull_all(self, dataset: DatasetID, run_id: str, log: logging.Logger, committed: _Committed) -> PullResult:
        """What the last of the pulls came to."""
        asked = self._asked_of(run_id, dataset).ingest or IngestArguments()
        while True:
            result = self._pull(dataset, run_id, asked, log, committed)
            if isinstance(result, NothingToPoll) and self._is_counted_on(run_id, dataset):
                raise SourceLostError
            if not isinstance(result, Updated):
                _explain(result, log, first=committed.all is None)
                return result
            committed.hear(result)
            log.info("%s new records, head %s", result.records, result.new_head)
            if result.late_rows:
                log.warning("%s records of its inputs came too late and were left out", result.late_rows)
            if not result.has_more or asked.one_slice:
                return result

    def _pull(
        self, dataset: DatasetID, run_id: str, asked: IngestArguments, log: logging.Logger, committed: _Committed
    ) -> PullResult:
        pull = partial(
            self._coordinator.pull,
            self._caller,
            dataset,
            run_id=run_id,
            fetch_uncacheable=asked.fetch_uncacheable,
            max_slices=1 if asked.one_slice else None,
            on_progress=committed.hear,
        )
        for _ in range(MAX_CONFLICTS):
            committed.begin()
            try:
                return pull()
            except ConflictError as error:
                log.info("%s; planning again", error)
        committed.begin()
        return pull()

    def _keep_part(self, dataset: DatasetID, run_id: str, log: logging.Logger, done: Updated | None) -> None:
        """What was committed before a failure; that it cannot be kept must not hide what failed."""
        if done is None:
            return
        log.info("%s new records are there in spite of what follows, head %s", done.records, done.new_head)
        try:
            found = self._materializations.describe(dataset, after=done.old_head, until=done.new_head)
            moved_to = found.watermark_moved_to
            self._achieved(run_id, dataset, DataAdded(done.blocks, done.records, moved_to, has_more=True))
        except KamuError as error:
            log.warning("what was achieved is not kept with the flow: %s", error)


def _explain(result: UpToDate | NothingToPoll, log: logging.Logger, *, first: bool) -> None:
    match result:
        case NothingToPoll():
            log.info("nothing to poll: this root dataset takes pushes only")
        case UpToDate(uncacheable=True):
            log.info(
                "up to date: the source cannot tell whether it changed, so it was not read again: "
                "`kamu-node flow-config set <dataset> --fetch-uncacheable` has it read each time"
            )
        case UpToDate(waiting_for=inputs) if inputs:
            log.info("waiting for data in %s", ", ".join(map(str, inputs)))
        case UpToDate() if first:
            log.info("up to date")
        case UpToDate():
            return
