"""Use cases of flows: run now, cancel, standing triggers, and what workers tell of their runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from uuid import uuid4

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.references import References
from kamu_assets.datasets.service import Datasets
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.decide import check_rule, first_due
from kamu_assets.flows.messages import FlowCancelRequested, FlowFinished, FlowRequested, TriggerChanged
from kamu_assets.flows.model import (
    CauseKind,
    Flow,
    FlowCause,
    FlowLoad,
    FlowOutcome,
    FlowState,
    FlowType,
    OutcomeKind,
    Trigger,
    TriggerRule,
)
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.monitoring import metrics
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.odf.timestamp import Timestamp


def new_id() -> str:
    return str(uuid4())


class FlowService:
    """Flows and triggers as callers and workers use them; works with or without a running scheduler."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        datasets: Datasets,
        access: Access,
        clock: Clock,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._datasets = datasets
        self._access = access
        self._clock = clock
        self._make_id = make_id
        self._entries = DatasetStore()
        self._references = References()
        self._flows = FlowStore()
        self._triggers = TriggerStore()

    def request_run(self, caller: Caller, dataset: DatasetRef) -> Flow:
        """Bring a dataset up to date soon; a flow that waits already is joined."""
        entry = self._datasets.resolve(caller, dataset)
        account = caller.account.id if caller.account else None
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            return self.want(tx, entry, FlowCause(CauseKind.MANUAL, account=account))

    def want(self, tx: Transaction, entry: DatasetEntry, cause: FlowCause) -> Flow:
        """Have a flow of the dataset waiting: a new one, or the one that waits already."""
        flow = self._new(entry, cause, FlowState.WAITING)
        if self._flows.add(tx, flow):
            self._outbox.post(tx, FlowRequested(flow_id=flow.id, dataset_id=entry.id, type=flow.type))
            return flow
        return self._flows.find(tx, entry.id, FlowState.WAITING) or flow

    def cancel(self, caller: Caller, flow_id: str) -> Flow:
        """Drop a waiting flow; have a running one stopped."""
        with self._database.transaction() as tx:
            flow = self._flows.get(tx, flow_id)
            self._access.require(tx, caller, self._entries.get(tx, flow.dataset_id), Action.WRITE)
            if flow.state is FlowState.WAITING:
                return self.end(tx, flow, FlowOutcome(OutcomeKind.ABORTED))
            if flow.state is FlowState.RUNNING:
                flow = replace(flow, cancel_requested=True)
                self._flows.save(tx, flow)
                self._outbox.post(tx, FlowCancelRequested(flow_id=flow.id, dataset_id=flow.dataset_id))
            return flow

    def get(self, caller: Caller, flow_id: str) -> Flow:
        with self._database.reading() as tx:
            flow = self._flows.get(tx, flow_id)
            self._access.require(tx, caller, self._entries.get(tx, flow.dataset_id), Action.READ)
            return flow

    def list(
        self, caller: Caller, *, dataset: DatasetRef | None = None, limit: int = 50, offset: int = 0
    ) -> Sequence[Flow]:
        """Flows, newest first."""
        of = self._datasets.resolve(caller, dataset).id if dataset is not None else None
        with self._database.reading() as tx:
            return self._flows.list(tx, dataset=of, limit=limit, offset=offset)

    def set_trigger(self, caller: Caller, dataset: DatasetRef, rule: TriggerRule, *, paused: bool = False) -> Trigger:
        """Start flows of the dataset by a rule, from now on; replaces the rule it had."""
        check_rule(rule)
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            finished = self._flows.last_finished(tx, entry.id)
            trigger = Trigger(entry.id, rule, first_due(rule, self._clock.now(), finished), paused=paused)
            self._triggers.set(tx, trigger)
            self._outbox.post(tx, TriggerChanged(dataset_id=entry.id))
        return trigger

    def remove_trigger(self, caller: Caller, dataset: DatasetRef) -> None:
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            self._triggers.remove(tx, entry.id)
            self._outbox.post(tx, TriggerChanged(dataset_id=entry.id))

    def triggers(self, caller: Caller) -> Sequence[Trigger]:
        """Every trigger, soonest first."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            return self._triggers.list(tx)

    def latest(self, caller: Caller, datasets: Sequence[DatasetID]) -> Mapping[DatasetID, Flow]:
        """How the latest flow of each dataset ended, of those that had one."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            found = {dataset: self._flows.newest_finished(tx, dataset) for dataset in datasets}
        return {dataset: flow for dataset, flow in found.items() if flow is not None}

    def load(self) -> FlowLoad:
        """How much waits, and how much runs."""
        with self._database.reading() as tx:
            return FlowLoad(self._flows.count(tx, FlowState.WAITING), self._flows.count(tx, FlowState.RUNNING))

    def failed_since(self, moment: Timestamp, *, limit: int = 1000) -> Sequence[Flow]:
        """Flows that failed after a moment, latest first."""
        with self._database.reading() as tx:
            return self._flows.failed_since(tx, moment, limit)

    def run_started(self, flow_id: str | None, run_id: str, dataset: DatasetID) -> None:
        """A worker begins the run. Without a flow it came from Dagster's UI and becomes one, unless one runs."""
        now = self._clock.now()
        metrics.RUNS_STARTED.add()
        with self._database.transaction() as tx:
            if flow_id is None:
                self._adopt(tx, run_id, dataset)
                return
            flow = self._flows.get(tx, flow_id)
            if flow.state is FlowState.RUNNING and flow.run_id == run_id:
                self._flows.save(tx, replace(flow, started_at=now, waits_for=None))

    def run_waits(self, run_id: str, text: str) -> None:
        """Say what a run waits for that no worker has begun."""
        with self._database.transaction() as tx:
            self._flows.note_wait(tx, text, run=run_id)

    def run_finished(self, run_id: str, outcome: FlowOutcome, *, datasets: Sequence[DatasetID] = ()) -> None:
        """A run ended. `datasets` it worked on without a flow of their own are recorded as finished flows."""
        with self._database.transaction() as tx:
            known = self._flows.by_run(tx, run_id)
            for flow in known:
                if flow.state is FlowState.RUNNING:
                    self.end(tx, flow, outcome)
            for dataset in {*datasets} - {flow.dataset_id for flow in known}:
                entry = self._entries.find(tx, dataset)
                if entry is not None:
                    flow = self._new(entry, FlowCause(CauseKind.DAGSTER_UI), FlowState.FINISHED)
                    self._flows.add(tx, replace(flow, run_id=run_id, attempt=1, started_at=self._clock.now()))
                    self.end(tx, replace(flow, run_id=run_id, attempt=1), outcome)

    def end(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> Flow:
        """Give a flow its outcome."""
        ended = replace(flow, state=FlowState.FINISHED, outcome=outcome, finished_at=self._clock.now())
        self._flows.save(tx, ended)
        tx.on_commit(partial(metrics.RUNS_ENDED.add, outcome.kind.value))
        head = self._references.head(tx, flow.dataset_id)
        self._outbox.post(
            tx,
            FlowFinished(flow_id=flow.id, dataset_id=flow.dataset_id, type=flow.type, outcome=outcome.kind, head=head),
        )
        return ended

    def _adopt(self, tx: Transaction, run_id: str, dataset: DatasetID) -> None:
        entry = self._entries.get(tx, dataset)
        flow = self._new(entry, FlowCause(CauseKind.DAGSTER_UI), FlowState.RUNNING)
        now = self._clock.now()
        self._flows.add(tx, replace(flow, run_id=run_id, attempt=1, submitted_at=now, started_at=now))

    def _new(self, entry: DatasetEntry, cause: FlowCause, state: FlowState) -> Flow:
        type_ = FlowType.updating(entry.kind)
        return Flow(
            id=self._make_id(),
            dataset_id=entry.id,
            type=type_,
            cause=cause,
            state=state,
            created_at=self._clock.now(),
        )
