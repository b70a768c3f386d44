"""What happens to flows in a short time, told to a scheduler that ends, or is deposed, at one of its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from kamu_assets.database.database import Database
from kamu_assets.database.terms import DeposedError, begin_term
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.odf.identity import DatasetAlias
from tests.support.heart import ADMIN, open_heart
from tests.unit.flows.conftest import Flows, OrchestratorSimulator, wired

NAMES = ("root", "reader", "dying", "canceled", "failing", "silent", "timed")
DONE = FlowOutcome(OutcomeKind.SUCCESS)
Passes = Callable[[str], None]


class KilledError(BaseException):
    """Nobody handles it: whatever was open is rolled back, and nothing more is done."""


def prepare(home: Path) -> None:
    """Datasets to which nothing has happened."""
    flows = wired(open_heart(home))
    root, *_ = [flows.root(name) for name in NAMES if name != "reader"]
    flows.derivative("reader", root)
    flows.heart.database.close()


@dataclass
class WatchedDatabase:
    """The leader's, which tells where it is."""

    database: Database
    passes: Passes

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.passes("before a transaction")
        with self.database.transaction() as tx:
            yield tx
            self.passes("in a transaction")
        self.passes("after a transaction")

    def reading(self) -> AbstractContextManager[Transaction]:
        return self.database.reading()


@dataclass
class WatchedOrchestrator:
    """What outlives the leader, and tells where it is when it asks for something."""

    outside: OrchestratorSimulator
    passes: Passes

    def submit(self, flow: Flow) -> None:
        self.passes("before a run is made")
        self.outside.submit(flow)
        self.passes("after a run was made")

    def cancel(self, run_id: str) -> None:
        self.passes("before a run is canceled")
        self.outside.cancel(run_id)
        self.passes("after a run was canceled")

    def status(self, run_id: str) -> RunStatus:
        return self.outside.status(run_id)


@dataclass
class LedStory:
    """`disturb` is called at each point of the first leader's way; the second comes undisturbed to the end."""

    home: Path
    disturb: Callable[[LedStory, str], None]
    outside: OrchestratorSimulator = field(default_factory=OrchestratorSimulator)
    effects: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.heart = open_heart(self.home)
        self.flows = self._leader(lambda point: self.disturb(self, point))
        self.entries = {name: self.heart.datasets.resolve(ADMIN, DatasetAlias.parse(name)) for name in NAMES}

    def _leader(self, passes: Passes) -> Flows:
        with self.heart.database.transaction() as tx:
            term = begin_term(tx, "scheduler", holder="somebody", now=self.heart.clock.now())
        orchestrator = cast("Any", WatchedOrchestrator(self.outside, passes))
        flows = wired(self.heart, orchestrator=orchestrator)
        flows.scheduler._database = cast("Any", WatchedDatabase(self.heart.database.fenced(term.require), passes))
        return flows

    def take_over(self) -> None:
        """Another one leads, and does at once what is to be done."""
        self.flows = self._leader(lambda _: None)
        self._schedule()

    def play(self) -> None:
        """From the beginning to where nothing is left to do."""
        service, entries = self.flows.service, self.entries
        self._push()
        reader = self._running("reader")
        service.run_started(str(reader.run_id))
        self._push()
        self._work("reader")
        self._work("reader")

        for name in ("dying", "canceled", "failing", "silent"):
            service.request_run(ADMIN, entries[name].id)
        self.schedule()
        self.outside.become(self._running("dying").run_id, RunState.LOST, "the worker process died")
        service.cancel(ADMIN, self._running("canceled").id)
        self.schedule()
        canceled = self._running("canceled")
        assert canceled.run_id in self.outside.canceled
        self.outside.become(canceled.run_id, RunState.CANCELED)
        self._work("dying")
        self._work("failing", FlowOutcome(OutcomeKind.FAILED, "!", recoverable=False))
        # Its worker could not say so.
        self._work("silent", None)

        self.flows.triggers.set(ADMIN, entries["timed"].id, Interval(60))
        self.schedule()
        self.heart.clock.advance(61)
        self._work("timed")
        self.flows.triggers.pause(ADMIN, entries["timed"].id)
        self.schedule()
        self.heart.database.close()

    def schedule(self) -> None:
        try:
            self._schedule()
        except KilledError:
            self.take_over()
        except DeposedError:
            # It ends, as somebody else leads.
            self._schedule()

    def _schedule(self) -> None:
        scheduler = self.flows.scheduler
        scheduler.step()
        scheduler.reconcile()

    def _push(self) -> None:
        self.heart.clock.advance(2)
        self.heart.add_data(self.entries["root"].id)
        self.schedule()

    def _work(self, name: str, outcome: FlowOutcome | None = DONE) -> None:
        """A worker executes the run that waits for it."""
        self.heart.clock.advance(2)
        self.schedule()
        run_id = str(self._running(name).run_id)
        assert self.outside.runs[run_id].state is RunState.WAITING
        self.effects[name] += 1
        self.outside.become(run_id, RunState.SUCCEEDED)
        if outcome is not None:
            self.flows.service.run_finished(run_id, outcome)
        self.schedule()

    def _running(self, name: str) -> Flow:
        (flow,) = self.flows.of(self.entries[name], FlowState.RUNNING)
        return flow

    def told(self) -> dict[str, list[tuple[object, ...]]]:
        """What became of every flow, and how often something was done."""
        flows = wired(open_heart(self.home))
        told = {name: [_told(flow) for flow in flows.of(entry)] for name, entry in self.entries.items()}
        flows.heart.database.close()
        return {**told, "effects": sorted(self.effects.items())}


def _told(flow: Flow) -> tuple[object, ...]:
    causes = [(cause.kind.value, cause.records) for cause in flow.causes]
    return (flow.state.value, flow.outcome and flow.outcome.kind.value, flow.attempt, causes)
