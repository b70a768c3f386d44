"""Decides when flows run: hears of new data, fires triggers, submits one flow per dataset, repairs after a crash."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.lineage import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetUpdated
from kamu_assets.datasets.statistics import StatisticsStore
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.flows.decide import Step, fired, judge
from kamu_assets.flows.messages import FlowCancelRequested
from kamu_assets.flows.model import CauseKind, Flow, FlowCause, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.orchestrator import Orchestrator
from kamu_assets.flows.places import EnginePlaces, waits_for
from kamu_assets.flows.service import FlowService, new_id
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.monitoring import metrics
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

log = structlog.get_logger(__name__)

CONSUMER = "flows"
MESSAGES_AT_ONCE = 200
# Waiting flows among which to look for one whose engine has a place.
LOOK_AHEAD = 200
# Events that give derivatives something to do: records, or a watermark that moved.
_DATA_EVENTS = frozenset({"AddData", "ExecuteTransform"})


class FlowScheduler:
    """One of these per node. Every step may be repeated, and may stop half way, without harm."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        flows: FlowService,
        orchestrator: Orchestrator,
        clock: Clock,
        max_running: int,
        places: EnginePlaces | None = None,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._service = flows
        self._orchestrator = orchestrator
        self._clock = clock
        self._max_running = max_running
        self._places = places
        self._make_id = make_id
        self._flows = FlowStore()
        self._triggers = TriggerStore()
        self._entries = DatasetStore()
        self._lineage = Lineage()
        self._statistics = StatisticsStore()
        self._cancels_wanted = False

    def step(self) -> Timestamp | None:
        """Do all that is to be done now; tells when the next trigger is due."""
        metrics.SCHEDULER_STEP.set(time.time())
        while self._hear():
            pass
        if self._cancels_wanted:
            self._cancels_wanted = False
            self._cancel()
        self._fire_triggers()
        self._submit_waiting()
        with self._database.reading() as tx:
            return self._triggers.next_due(tx)

    def reconcile(self) -> None:
        """Compare running flows with their runs: submit what a crash left out, retry what a dead worker lost."""
        with self._database.reading() as tx:
            running = self._flows.running(tx)
        for flow in running:
            try:
                self._reconcile(flow)
            except Exception:
                log.exception("flow_reconcile_failed", flow=flow.id, run=flow.run_id)

    def tell_who_waits(self) -> None:
        """Say of flows for which their engine has no place that this is what they wait for."""
        places = self._places
        if places is None:
            return
        with self._database.reading() as tx:
            running = self._flows.running(tx)
            held = places.held_up(self._flows.submittable(tx, LOOK_AHEAD), running=running)
            said = [(flow, self._said(tx, engine, places.holders(engine, running))) for flow, engine in held]
        if news := [(flow, text) for flow, text in said if flow.waits_for != text]:
            with self._database.transaction() as tx:
                for flow, text in news:
                    self._flows.note_wait(tx, text, flow=flow.id)

    def _said(self, tx: Transaction, engine: str, holders: Sequence[Flow]) -> str:
        ids = [flow.dataset_id for flow in holders]
        names = [str(entry.alias) for entry in self._entries.get_many(tx, ids)] if ids else []
        limit = self._places.limits[engine] if self._places else 0
        return waits_for(engine, places=limit, holders=names)

    def _hear(self) -> bool:
        """Handle a batch of messages in one transaction; False when there are none."""
        deliveries = self._outbox.read(CONSUMER, MESSAGES_AT_ONCE)
        if not deliveries:
            return False
        try:
            with self._database.transaction() as tx:
                for delivery in deliveries:
                    self._handle(tx, delivery.message)
                self._outbox.advance(tx, CONSUMER, deliveries[-1].id)
        except Exception as error:
            log.exception("flow_messages_failed", first=deliveries[0].id)
            with self._database.transaction() as tx:
                self._outbox.fail(tx, CONSUMER, str(error))
            return False
        return True

    def _handle(self, tx: Transaction, message: Message) -> None:
        match message:
            case DatasetCreated() if message.inputs and not message.records:
                self._want_first_run(tx, message)
            case DatasetUpdated() if not _DATA_EVENTS.isdisjoint(message.event_kinds):
                self._want_dependents(tx, message.dataset_id)
            case DatasetDeleted():
                self._forget(tx, message.dataset_id)
            case FlowCancelRequested():
                self._cancels_wanted = True
            case _:
                # Requests and outcomes of flows only wake us: what to submit is read from the rows.
                pass

    def _want_dependents(self, tx: Transaction, dataset: DatasetID) -> None:
        dependents = self._lineage.dependents(tx, dataset)
        for entry in self._entries.get_many(tx, dependents) if dependents else ():
            self._service.want(tx, entry, FlowCause(CauseKind.INPUT_UPDATED, input=dataset))

    def _want_first_run(self, tx: Transaction, message: DatasetCreated) -> None:
        """A derivative over inputs that have data need not wait until they change."""
        full = next((one for one in message.inputs if self._statistics.get(tx, one).records), None)
        entry = self._entries.find(tx, message.dataset_id)
        if full is not None and entry is not None:
            self._service.want(tx, entry, FlowCause(CauseKind.INPUT_UPDATED, input=full))

    def _forget(self, tx: Transaction, dataset: DatasetID) -> None:
        self._triggers.remove(tx, dataset)
        waiting = self._flows.find(tx, dataset, FlowState.WAITING)
        if waiting is not None:
            self._service.end(tx, waiting, FlowOutcome(OutcomeKind.ABORTED, "the dataset was deleted"))

    def _fire_triggers(self) -> None:
        now = self._clock.now()
        with self._database.reading() as tx:
            if not self._triggers.due(tx, now):
                return
        with self._database.transaction() as tx:
            for trigger in self._triggers.due(tx, now):
                self._triggers.advance(tx, trigger, fired(trigger, now))
                entry = self._entries.find(tx, trigger.dataset_id)
                if entry is not None:
                    self._service.want(tx, entry, FlowCause(CauseKind.AUTO_POLLING))

    def _cancel(self) -> None:
        with self._database.reading() as tx:
            wanted = [flow.run_id for flow in self._flows.running(tx) if flow.cancel_requested]
        for run_id in wanted:
            if run_id is not None:
                self._orchestrator.cancel(run_id)

    def _submit_waiting(self) -> None:
        for flow in self._take_waiting():
            self._submit(flow)

    def _take_waiting(self) -> Sequence[Flow]:
        with self._database.reading() as tx:
            if not self._submittable(tx):
                return ()
        with self._database.transaction() as tx:
            taken = [self._attempt(flow) for flow in self._submittable(tx)]
            for flow in taken:
                self._flows.save(tx, flow)
        return taken

    def _submittable(self, tx: Transaction) -> Sequence[Flow]:
        room = self._max_running - self._flows.count_running(tx)
        if room <= 0:
            return ()
        if self._places is None:
            return self._flows.submittable(tx, room)
        waiting = self._flows.submittable(tx, max(room, LOOK_AHEAD))
        return self._places.choose(waiting, running=self._flows.running(tx), room=room)

    def _attempt(self, flow: Flow) -> Flow:
        """The flow with a new attempt, whose run does not exist yet."""
        return replace(
            flow,
            state=FlowState.RUNNING,
            attempt=flow.attempt + 1,
            run_id=self._make_id(),
            root_run_id=flow.root_run_id or flow.run_id,
            parent_run_id=flow.run_id,
            submitted_at=self._clock.now(),
            started_at=None,
            waits_for=None,
        )

    def _submit(self, flow: Flow) -> None:
        try:
            self._orchestrator.submit(flow)
        except DatabaseUnavailableError as error:
            # As below, and expected.
            log.warning("flow_not_submitted_yet", flow=flow.id, run=flow.run_id, reason=str(error))
        except KamuError as error:
            self._finish(flow, FlowOutcome(OutcomeKind.FAILED, str(error)))
        except Exception:
            # Not known to be the flow's fault: it keeps its run id and is submitted again by `reconcile`.
            log.exception("flow_submit_failed", flow=flow.id, run=flow.run_id)

    def _reconcile(self, flow: Flow) -> None:
        if flow.run_id is None:
            return
        verdict = judge(flow, self._orchestrator.status(flow.run_id))
        match verdict.step:
            case Step.SUBMIT:
                self._submit(flow)
            case Step.RETRY:
                self._retry(flow)
            case Step.FINISH if verdict.outcome is not None:
                self._finish(flow, verdict.outcome)
            case _ if flow.cancel_requested:
                self._orchestrator.cancel(flow.run_id)

    def _retry(self, flow: Flow) -> None:
        log.warning("flow_retried", flow=flow.id, lost_run=flow.run_id, attempt=flow.attempt + 1)
        again = self._attempt(flow)
        with self._database.transaction() as tx:
            if not self._is_current(tx, flow):
                return
            self._flows.save(tx, again)
        self._submit(again)

    def _finish(self, flow: Flow, outcome: FlowOutcome) -> None:
        with self._database.transaction() as tx:
            if self._is_current(tx, flow):
                self._service.end(tx, flow, outcome)

    def _is_current(self, tx: Transaction, flow: Flow) -> bool:
        """Whether the flow is still in this attempt: its worker may have finished it meanwhile."""
        now = self._flows.get(tx, flow.id)
        return now.state is FlowState.RUNNING and now.run_id == flow.run_id


def seconds_until(due: Timestamp | None, now: Timestamp, *, at_most: float) -> float:
    """How long to sleep."""
    if due is None:
        return at_most
    return min(at_most, max(0.0, (due.ns - now.ns) / NANOS_PER_SECOND))
