"""Use cases of flows: run now, cancel, look, and what workers tell of their runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.repeating import repeated
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.history.events import FlowEvent
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.messages import FlowCancelRequested
from kamu_assets.flows.model import (
    Attempt,
    Binding,
    Flow,
    FlowLoad,
    FlowOutcome,
    FlowState,
    FlowType,
    OutcomeKind,
)
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.plans import some_chance
from kamu_assets.flows.receivers import NoReceivers, Receivers
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.flows.store import FlowStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.monitoring import metrics
from kamu_assets.odf.identity import DatasetID, DatasetRef


class FlowService:
    """Flows as callers and workers use them; works with or without a running scheduler."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        datasets: Datasets,
        access: Access,
        clock: Clock,
        rules: FlowRules | None = None,
        receivers: Receivers | None = None,
        chance: Callable[[], float] = some_chance,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._datasets = datasets
        self._access = access
        self._clock = clock
        self._entries = DatasetStore()
        self._flows = FlowStore()
        self._history = FlowHistory()
        self.life = FlowLife(
            outbox=outbox,
            clock=clock,
            rules=rules or FlowRules(),
            receivers=receivers or NoReceivers(),
            chance=chance,
        )

    def request_run(self, caller: Caller, dataset: DatasetRef) -> Flow:
        """Bring a dataset up to date soon; joins the flow that is live already."""
        entry = self._datasets.resolve(caller, dataset)
        account = caller.account.id if caller.account else None
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            return self.life.want(tx, updating(entry), FlowCause(CauseKind.MANUAL, account=account))

    def cancel(self, caller: Caller, flow_id: int) -> Flow:
        """Drop a waiting flow; have a running one stopped; its rule of time is paused. What has ended stays."""
        with self._database.transaction() as tx:
            flow = self._flows.get(tx, flow_id, lock=True)
            self._require(tx, caller, flow)
            match flow.state:
                case FlowState.WAITING | FlowState.RETRYING:
                    self.life.hold(tx, flow.binding)
                    return self.life.end(tx, flow, FlowOutcome(OutcomeKind.ABORTED))
                case FlowState.RUNNING:
                    self.life.hold(tx, flow.binding)
                    flow = replace(flow, cancel_requested=True)
                    self._flows.save(tx, flow)
                    self._outbox.post(tx, FlowCancelRequested(flow_id=str(flow.id), dataset_id=flow.dataset_id))
            return flow

    def get(self, caller: Caller, flow_id: int) -> Flow:
        with self._database.reading() as tx:
            return self._readable(tx, caller, flow_id)

    def events(self, caller: Caller, flow_id: int) -> Sequence[FlowEvent]:
        """What happened to a flow, oldest first."""
        with self._database.reading() as tx:
            return self._history.events(tx, self._readable(tx, caller, flow_id).id)

    def attempts(self, caller: Caller, flow_id: int) -> Sequence[Attempt]:
        """The runs of a flow, first to last."""
        with self._database.reading() as tx:
            return self._history.attempts(tx, self._readable(tx, caller, flow_id).id)

    def _readable(self, tx: Transaction, caller: Caller, flow_id: int) -> Flow:
        flow = self._flows.get(tx, flow_id)
        entry = self._entries.find(tx, flow.dataset_id) if flow.dataset_id is not None else None
        if entry is not None:
            self._access.require(tx, caller, entry, Action.READ)
        return flow

    def _require(self, tx: Transaction, caller: Caller, flow: Flow) -> None:
        """Raise unless the caller may stop the flow."""
        entry = self._entries.find(tx, flow.dataset_id) if flow.dataset_id is not None else None
        if entry is not None:
            self._access.require(tx, caller, entry, Action.WRITE)
        else:
            # Of the node, or of a dataset that was deleted while it ran.
            self._access.require_admin(caller, f"stop flows of type {flow.type.words}")

    def list(
        self, caller: Caller, *, dataset: DatasetRef | None = None, limit: int = 50, before: int | None = None
    ) -> Sequence[Flow]:
        """Flows, newest first; `before` is the id of the last flow of the page before."""
        of = self._datasets.resolve(caller, dataset).id if dataset is not None else None
        with self._database.reading() as tx:
            return self._flows.list(tx, dataset=of, limit=limit, before=before)

    def live(self, caller: Caller, dataset: DatasetID) -> Sequence[Flow]:
        """What is done to a dataset, or is to be done, the oldest first; who is only told of it does not count."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            return [flow for flow in self._flows.live_of(tx, dataset) if not flow.type.tells]

    def latest(self, caller: Caller, datasets: Sequence[DatasetID]) -> Mapping[DatasetID, Flow]:
        """How the latest flow of each dataset ended, of those that had one."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            found = {dataset: self._flows.newest_finished(tx, dataset) for dataset in datasets}
        return {dataset: flow for dataset, flow in found.items() if flow is not None}

    def latest_of(self, caller: Caller, bindings: Sequence[Binding]) -> Mapping[Binding, Flow]:
        """The same of bindings: what else was done to their datasets does not count."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            found = {binding: self._flows.newest_of(tx, binding) for binding in bindings}
        return {binding: flow for binding, flow in found.items() if flow is not None}

    def load(self) -> FlowLoad:
        """How much waits that could run, and how much runs."""
        with self._database.reading() as tx:
            return self._flows.load(tx, self._clock.now())

    def run_started(self, run_id: str) -> None:
        """A worker begins the run of a flow."""
        metrics.RUNS_STARTED.add()

        def start(tx: Transaction) -> None:
            for flow in self._flows.by_run(tx, run_id, lock=True):
                if flow.state is FlowState.RUNNING:
                    self.life.started(tx, flow)

        repeated(self._database, start)

    def is_over(self, run_id: str) -> bool:
        """Whether what the run was made for has come to an end without it, or before it began once more."""
        with self._database.reading() as tx:
            return self._history.is_over(tx, run_id)

    def _adopt(self, tx: Transaction, run_id: str, binding: Binding, config: FlowConfig) -> Flow | None:
        """The flow that the run is; None where there is another one of its kind."""
        # Whoever hears of the run and the worker that begins it may come at the same moment.
        tx.lock(f"adopt {run_id}")
        mine = (flow for flow in self._flows.by_run(tx, run_id, lock=True) if flow.binding == binding)
        flow = next(mine, None)
        if flow is None and binding not in self._history.served(tx, run_id):
            flow = self.life.adopt(tx, binding, FlowCause(CauseKind.DAGSTER_UI), run_id)
            flow = flow and self.life.configure(tx, flow, config)
        return flow

    def run_asked(self, run_id: str, asked: Mapping[Binding, FlowConfig]) -> Sequence[Flow]:
        """Somebody started a run in Dagster's UI that no worker has begun: tells the flows that it is.

        A flow of the same kind that runs keeps it from being one.
        """
        with self._database.transaction() as tx:
            found = [self._adopt(tx, run_id, binding, config) for binding, config in asked.items()]
        return [flow for flow in found if flow is not None]

    def run_adopted(self, run_id: str, asked: Mapping[Binding, FlowConfig]) -> Sequence[Flow]:
        """A worker begins such a run, and so begin the flows that it is."""
        metrics.RUNS_STARTED.add()

        def adopt(tx: Transaction) -> Sequence[Flow]:
            found = [self._adopt(tx, run_id, binding, config) for binding, config in asked.items()]
            running = [flow for flow in found if flow is not None and flow.state is FlowState.RUNNING]
            return [self.life.started(tx, flow) for flow in running]

        return repeated(self._database, adopt)

    def asked_of(self, run_id: str, dataset: DatasetID) -> FlowConfig:
        """How what a run does to a dataset is to be done."""
        with self._database.reading() as tx:
            mine = (flow.config for flow in self._flows.by_run(tx, run_id) if flow.dataset_id == dataset)
            return next(mine, PLAIN)

    def is_counted_on(self, run_id: str, dataset: DatasetID) -> bool:
        """Whether a rule has a run update a dataset, or somebody who named it: in Dagster's UI one chooses many."""
        with self._database.reading() as tx:
            mine = [flow for flow in self._flows.by_run(tx, run_id) if flow.dataset_id == dataset]
        return any(cause.kind is not CauseKind.DAGSTER_UI for flow in mine for cause in flow.causes)

    def run_waits(self, run_id: str, text: str) -> None:
        """Say what a run waits for that no worker has begun."""
        with self._database.transaction() as tx:
            self._flows.note_wait(tx, text, run=run_id)

    def run_finished(self, run_id: str, outcome: FlowOutcome, *, bindings: Collection[Binding] = ()) -> None:
        """A run ended. What it was without a flow of its own is recorded as flows that have finished."""

        def finish(tx: Transaction) -> None:
            for flow in self._flows.by_run(tx, run_id, lock=True):
                if flow.state is FlowState.RUNNING:
                    self.life.settle(tx, flow, outcome)
            self._record(tx, run_id, outcome, bindings)

        repeated(self._database, finish)

    def run_missed(self, run_id: str, outcome: FlowOutcome, bindings: Collection[Binding]) -> None:
        """A run ended that no worker told of: it is recorded where it was no flow, and whoever settles flows does."""
        with self._database.transaction() as tx:
            self._record(tx, run_id, outcome, bindings)

    def _record(self, tx: Transaction, run_id: str, outcome: FlowOutcome, bindings: Collection[Binding]) -> None:
        left = {*bindings} - self._history.served(tx, run_id) if bindings else set()
        for binding in left:
            if binding.dataset_id is None or self._entries.find(tx, binding.dataset_id) is not None:
                self.life.record(tx, binding, FlowCause(CauseKind.DAGSTER_UI), run_id, outcome)


def updating(entry: DatasetEntry) -> Binding:
    """What is done to keep a dataset up to date."""
    return Binding(entry.id, FlowType.updating(entry.kind))
