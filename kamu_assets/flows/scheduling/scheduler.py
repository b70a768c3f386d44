"""Starts flows whose time has come, one per dataset, hears of what gives them new ones, repairs after a crash."""

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError, TransactionConflictError
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.terms import DeposedError
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import ChainReplacedError
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError, UnavailableError
from kamu_assets.flows.decide import Step, judge
from kamu_assets.flows.messages import FlowCancelRequested
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.orchestrator import Orchestrator, RunState
from kamu_assets.flows.scheduling.backlog import Backlog
from kamu_assets.flows.scheduling.hearing import Hearing
from kamu_assets.flows.scheduling.places import EnginePlaces, waits_for
from kamu_assets.flows.service import FlowService
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.monitoring import metrics
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.storage.errors import StorageUnavailableError

log = structlog.get_logger(__name__)


def new_id() -> str:
    return str(uuid4())


CONSUMER = "flows"
MESSAGES_AT_ONCE = 200
BATCHES_AT_ONCE = 4
# Waiting flows among which to look for one whose engine has a place.
LOOK_AHEAD = 200
# The same may succeed another time, or under another leader.
_NOBODYS_FAULT = (DatabaseUnavailableError, TransactionConflictError, DeposedError)


class FlowScheduler:
    """One of these per node. Every step may be repeated, and may stop half way, without harm."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        flows: FlowService,
        chains: Chains,
        orchestrator: Orchestrator,
        clock: Clock,
        max_running: int,
        max_telling: int = 32,
        places: EnginePlaces | None = None,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._life = flows.life
        self._hearing = Hearing(flows.life, Backlog(chains))
        self._orchestrator = orchestrator
        self._clock = clock
        self._max_running = max_running
        self._max_telling = max_telling
        self._places = places
        self._make_id = make_id
        self._flows = FlowStore()
        self._triggers = TriggerStore()
        self._entries = DatasetStore()
        # Whoever was here before may have heard of them and died.
        self._cancels_wanted = True
        self._all_planned = False

    def step(self) -> Timestamp | None:
        """Do all that is to be done now; tells when the next flow is due."""
        metrics.SCHEDULER_STEP.set(time.time())
        has_more = self._hear_some()
        if self._cancels_wanted:
            self._cancel()
        if not self._all_planned:
            self._plan_all()
        now = self._clock.now()
        due = self._next_start()
        if due is not None and due <= now:
            self._submit_ready(now)
            due = self._next_start(after=now)
        return now if has_more else due

    def _next_start(self, *, after: Timestamp | None = None) -> Timestamp | None:
        with self._database.reading() as tx:
            return self._flows.next_start(tx, after)

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
            held = places.held_up(self._flows.ready(tx, self._clock.now(), LOOK_AHEAD), running=running)
            said = [(flow, self._said(tx, engine, places.holders(engine, running))) for flow, engine in held]
        if news := [(flow, text) for flow, text in said if flow.waits_for != text]:
            with self._database.transaction() as tx:
                for flow, text in news:
                    self._flows.note_wait(tx, text, flow=flow.id)

    def _said(self, tx: Transaction, engine: str, holders: Sequence[Flow]) -> str:
        ids = [flow.dataset_id for flow in holders if flow.dataset_id is not None]
        names = [str(entry.alias) for entry in self._entries.get_many(tx, ids)] if ids else []
        limit = self._places.limits[engine] if self._places else 0
        return waits_for(engine, places=limit, holders=names)

    def _hear_some(self) -> bool:
        """Tells whether there may be more: others post all the time, and flows have to begin meanwhile."""
        return all(self._hear() for _ in range(BATCHES_AT_ONCE))

    def _hear(self) -> bool:
        """Handle a batch of messages; False when there are none, or it failed: flows begin whatever is not heard."""
        try:
            return self._handle_some()
        except _NOBODYS_FAULT:
            raise
        except (UnavailableError, ChainReplacedError) as error:
            log.warning("flow_messages_have_to_wait", reason=str(error))
        except Exception as error:
            log.exception("flow_messages_failed")
            with self._database.transaction() as tx:
                self._outbox.fail(tx, CONSUMER, f"{type(error).__name__}: {error}")
        return False

    def _handle_some(self) -> bool:
        """All of them, and how far that was, in one transaction."""
        deliveries = self._outbox.read(CONSUMER, MESSAGES_AT_ONCE)
        if not deliveries:
            return False
        with self._database.transaction() as tx:
            for delivery in deliveries:
                self._cancels_wanted |= isinstance(delivery.message, FlowCancelRequested)
                self._hearing.handle(tx, delivery.message)
            self._outbox.advance(tx, CONSUMER, deliveries[-1].id)
        return True

    def _cancel(self) -> None:
        with self._database.reading() as tx:
            wanted = [flow for flow in self._flows.running(tx) if flow.cancel_requested]
        for flow in wanted:
            self._stop(flow)
        self._cancels_wanted = False

    def _stop(self, flow: Flow) -> None:
        """One that cannot be stopped keeps no others from it, nor from their start: `reconcile` tries it again."""
        try:
            if flow.run_id is not None:
                self._orchestrator.cancel(flow.run_id)
        except Exception:
            log.exception("flow_cancel_failed", flow=flow.id, run=flow.run_id)

    def _plan_all(self) -> None:
        """See to it that every active rule has its flow waiting, whatever this node was before it started."""
        with self._database.reading() as tx:
            unplanned = self._triggers.unplanned(tx)
        for trigger in unplanned:
            self._plan(trigger)
        self._all_planned = True

    def _plan(self, trigger: Trigger) -> None:
        """Each for itself: a rule that names no time, from before such rules were refused, is in nobody's way."""
        try:
            with self._database.transaction() as tx:
                self._life.plan_next(tx, trigger.binding)
        except _NOBODYS_FAULT:
            raise
        except Exception:
            log.exception("flow_not_planned", dataset=str(trigger.dataset_id), type=trigger.type.value)

    def _submit_ready(self, now: Timestamp) -> None:
        for flow in self._take_ready(now):
            self._submit(flow)

    def _take_ready(self, now: Timestamp) -> Sequence[Flow]:
        with self._database.reading() as tx:
            if not self._submittable(tx, now):
                return ()
        with self._database.transaction() as tx:
            return [self._life.begin(tx, flow, self._make_id()) for flow in self._submittable(tx, now)]

    def _submittable(self, tx: Transaction, now: Timestamp) -> Sequence[Flow]:
        """Those that wait for receivers hold up none that work, nor the other way round."""
        return (*self._working(tx, now), *self._telling(tx, now))

    def _telling(self, tx: Transaction, now: Timestamp) -> Sequence[Flow]:
        room = self._max_telling - self._flows.count_running(tx, telling=True)
        return self._flows.ready(tx, now, room, telling=True) if room > 0 else ()

    def _working(self, tx: Transaction, now: Timestamp) -> Sequence[Flow]:
        room = self._max_running - self._flows.count_running(tx)
        if room <= 0:
            return ()
        limit = self._life.rules.account_limit
        if self._places is None:
            return self._flows.ready(tx, now, room, account_limit=limit)
        waiting = self._flows.ready(tx, now, max(room, LOOK_AHEAD), account_limit=limit)
        return self._places.choose(waiting, running=self._flows.running(tx), room=room)

    def _submit(self, flow: Flow) -> None:
        try:
            self._orchestrator.submit(flow)
        except (*_NOBODYS_FAULT, StorageUnavailableError) as error:
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
        status = self._orchestrator.status(flow.run_id)
        verdict = judge(flow, status, lost=self._lost(flow) if status.state is RunState.LOST else 0)
        match verdict.step:
            case Step.SUBMIT:
                self._submit(flow)
            case Step.RETRY if verdict.outcome is not None:
                self._retry(flow, verdict.outcome)
            case Step.FINISH if verdict.outcome is not None:
                self._finish(flow, verdict.outcome)
            case _ if flow.cancel_requested:
                self._orchestrator.cancel(flow.run_id)

    def _lost(self, flow: Flow) -> int:
        with self._database.reading() as tx:
            return self._life.lost(tx, flow)

    def _retry(self, flow: Flow, outcome: FlowOutcome) -> None:
        with self._database.transaction() as tx:
            current = self._current(tx, flow)
            if current is None:
                return
            self._life.lose(tx, current, outcome)
            again = self._life.begin(tx, current, self._make_id())
        log.warning("flow_retried", flow=flow.id, lost_run=flow.run_id, attempt=again.attempt)
        self._submit(again)

    def _finish(self, flow: Flow, outcome: FlowOutcome) -> None:
        with self._database.transaction() as tx:
            current = self._current(tx, flow)
            if current is not None:
                self._life.settle(tx, current, outcome)

    def _current(self, tx: Transaction, flow: Flow) -> Flow | None:
        """The flow as it is now, if it is still in this attempt: its worker may have finished it meanwhile."""
        now = self._flows.get(tx, flow.id, lock=True)
        return now if now.state is FlowState.RUNNING and now.run_id == flow.run_id else None


def seconds_until(due: Timestamp | None, now: Timestamp, *, at_most: float) -> float:
    """How long to sleep."""
    if due is None:
        return at_most
    return min(at_most, max(0.0, (due.ns - now.ns) / NANOS_PER_SECOND))
