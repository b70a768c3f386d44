"""The life of a flow, step by step: each takes the transaction, changes the rows and tells the history."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from random import SystemRandom

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.references import References
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.causes import MANUAL_KINDS, CauseKind, FlowCause, merged
from kamu_assets.flows.config_store import ConfigStore
from kamu_assets.flows.history import EventKind, Happening
from kamu_assets.flows.history_store import FlowHistory
from kamu_assets.flows.messages import FlowFinished, FlowRequested, TriggerChanged
from kamu_assets.flows.model import (
    Binding,
    Flow,
    FlowOutcome,
    FlowState,
    OutcomeKind,
    StartCondition,
    WaitKind,
)
from kamu_assets.flows.planning import Facts, FlowRules, Plan, plan, throttled
from kamu_assets.flows.priorities import priority
from kamu_assets.flows.process_store import ProcessStore, Record
from kamu_assets.flows.progress import counted, follow_up, next_attempt, reason_to_stop, resumes
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.monitoring import metrics
from kamu_assets.odf.timestamp import Timestamp

log = structlog.get_logger(__name__)
some_chance = SystemRandom().random


class FlowLife:
    """Used by whoever changes flows: services, the scheduler, and workers that tell of their runs."""

    def __init__(
        self, *, outbox: Outbox, clock: Clock, rules: FlowRules, chance: Callable[[], float] = some_chance
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self.rules = rules
        self._chance = chance
        self._configs = ConfigStore()
        self._flows = FlowStore()
        self._history = FlowHistory()
        self._triggers = TriggerStore()
        self._processes = ProcessStore()
        self._references = References()
        self._entries = DatasetStore()

    def want(self, tx: Transaction, binding: Binding, cause: FlowCause) -> Flow:
        """Have a live flow of the binding with this cause: a new one, or the one there is."""
        cause = replace(cause, at=cause.at or self._clock.now())
        known = self._flows.live(tx, binding)
        if known is None:
            new = self._flows.add(tx, self._new(tx, binding, (cause,)))
            if new is not None:
                return self._born(tx, new)
            # Somebody else was faster, and has committed.
            known = self._flows.live(tx, binding)
            if known is None:
                return self.want(tx, binding, cause)
        return self._join(tx, known, cause)

    def _new(self, tx: Transaction, binding: Binding, causes: tuple[FlowCause, ...]) -> Flow:
        return Flow(
            id=0,
            dataset_id=binding.dataset_id,
            type=binding.type,
            causes=causes,
            state=FlowState.WAITING,
            created_at=self._clock.now(),
            config=self._config(tx, binding),
        )

    def _config(self, tx: Transaction, binding: Binding) -> FlowConfig:
        config = self._configs.find(tx, binding) or FlowConfig()
        return config if config.retry else replace(config, retry=self.rules.retries.get(binding.type))

    def _born(self, tx: Transaction, flow: Flow) -> Flow:
        self._note(tx, flow, EventKind.INITIATED, Happening(cause=flow.cause))
        for cause in flow.causes[1:]:
            self._note(tx, flow, EventKind.CAUSE_ADDED, Happening(cause=cause))
        return self.replan(tx, flow)

    def _join(self, tx: Transaction, flow: Flow, cause: FlowCause) -> Flow:
        runs = flow.state is FlowState.RUNNING
        hurried = flow.state is FlowState.RETRYING and cause.kind in MANUAL_KINDS
        causes = merged(flow.late_causes if runs else flow.causes, cause)
        if causes is None or (runs and cause.kind is CauseKind.AUTO_POLLING):
            return self.replan(tx, flow) if hurried else flow
        self._note(tx, flow, EventKind.CAUSE_ADDED, Happening(cause=cause))
        if runs:
            return self._saved(tx, replace(flow, late_causes=tuple(causes)))
        flow = replace(flow, causes=tuple(causes))
        # Who waits for a retry has its time.
        waits = flow.state is FlowState.RETRYING and not hurried
        return self._saved(tx, flow) if waits else self.replan(tx, flow)

    def replan(self, tx: Transaction, flow: Flow) -> Flow:
        """Decide anew when a waiting flow starts."""
        record = self._processes.get(tx, flow.binding)
        trigger = self._triggers.in_force(tx, flow.binding)
        planned = plan(flow.causes, Facts(self._clock.now(), trigger, record.last_attempt_at), self.rules)
        if planned.condition is not None and planned.condition != flow.condition:
            self._note(tx, flow, EventKind.CONDITION_UPDATED, Happening(condition=planned.condition))
        if planned.at != flow.scheduled_at:
            self._note(tx, flow, EventKind.SCHEDULED, Happening(scheduled_at=planned.at))
        self._outbox.post(tx, FlowRequested(flow_id=str(flow.id), dataset_id=flow.dataset_id, type=flow.type))
        return self._saved(
            tx,
            replace(
                flow,
                condition=planned.condition,
                scheduled_at=planned.at,
                first_scheduled_at=flow.first_scheduled_at or planned.at,
            ),
        )

    def begin(self, tx: Transaction, flow: Flow, run_id: str) -> Flow:
        """The flow with a new attempt, whose run does not exist yet."""
        condition = StartCondition(WaitKind.EXECUTOR, run_id=run_id)
        begun = replace(
            flow,
            state=FlowState.RUNNING,
            condition=condition,
            attempt=flow.attempt + 1,
            run_id=run_id,
            root_run_id=flow.root_run_id or flow.run_id,
            parent_run_id=flow.run_id,
            submitted_at=self._clock.now(),
            started_at=None,
            waits_for=None,
        )
        self._history.queue(tx, begun)
        self._note(tx, begun, EventKind.CONDITION_UPDATED, Happening(condition=condition))
        self._note(tx, begun, EventKind.ATTEMPT_QUEUED, Happening(attempt=begun.attempt, run_id=run_id))
        return self._saved(tx, begun)

    def started(self, tx: Transaction, flow: Flow) -> Flow:
        """An executor works on it."""
        started = replace(flow, started_at=self._clock.now(), condition=None, waits_for=None)
        self._history.begin(tx, started)
        self._note(tx, flow, EventKind.ATTEMPT_RUNNING, Happening(attempt=flow.attempt, run_id=flow.run_id))
        return self._saved(tx, started)

    def adopt(self, tx: Transaction, binding: Binding, cause: FlowCause, run_id: str) -> Flow | None:
        """Make a run that exists already the attempt of the binding's flow; None if that has a run of its own."""
        live = self._flows.live(tx, binding)
        if live is not None and live.state is FlowState.RUNNING:
            return None
        return self.begin(tx, self.want(tx, binding, cause), run_id)

    def record(self, tx: Transaction, binding: Binding, cause: FlowCause, run_id: str, outcome: FlowOutcome) -> None:
        """Keep what a run did that was nobody's attempt, beside the flow that is live."""
        now = self._clock.now()
        flow = replace(self._new(tx, binding, (replace(cause, at=now),)), state=FlowState.FINISHED, scheduled_at=now)
        flow = replace(flow, first_scheduled_at=now, attempt=1, run_id=run_id, submitted_at=now, started_at=now)
        kept = self._flows.add(tx, flow)
        if kept is not None:
            self._note(tx, kept, EventKind.INITIATED, Happening(cause=kept.cause))
            self._history.queue(tx, kept)
            self.end(tx, kept, outcome)

    def lose(self, tx: Transaction, flow: Flow, message: str | None) -> None:
        """The attempt came to nothing that counts: the next one begins at once."""
        self._close_attempt(tx, flow, FlowOutcome(OutcomeKind.FAILED, message))

    def settle(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> Flow:
        """The attempt ended like this: try again later where that may help, else the flow ends like it."""
        now = self._clock.now()
        again = next_attempt(flow, outcome, now=now, chance=self._chance())
        if again is None:
            return self.end(tx, flow, outcome)
        again = throttled(Plan(again), Facts(now, last_attempt=now), self.rules).at
        self._close_attempt(tx, flow, outcome, again)
        log.info("flow_retries", flow=flow.id, attempt=flow.attempt, next_attempt=str(again), error=outcome.message)
        causes = reduce(lambda known, cause: tuple(merged(known, cause) or known), flow.late_causes, flow.causes)
        waiting = replace(flow, state=FlowState.RETRYING, scheduled_at=again, attempt_ended_at=now, condition=None)
        waiting = replace(waiting, causes=causes, late_causes=(), submitted_at=None, started_at=None)
        return self._saved(tx, waiting)

    def end(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> Flow:
        """Give a flow its outcome, and plan what follows it."""
        now = self._clock.now()
        if flow.attempt and flow.state is not FlowState.RETRYING:
            self._close_attempt(tx, flow, outcome)
        aborted = outcome.kind is OutcomeKind.ABORTED
        self._note(tx, flow, EventKind.ABORTED if aborted else EventKind.COMPLETED, Happening(outcome=outcome))
        ended = replace(flow, state=FlowState.FINISHED, outcome=outcome, finished_at=now, attempt_ended_at=now)
        ended = replace(ended, condition=None, late_causes=())
        self._saved(tx, ended)
        self._announce(tx, flow, outcome)
        if self._entries.find(tx, flow.dataset_id) is not None:
            self._go_on(tx, flow, outcome)
        return ended

    def _go_on(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> None:
        trigger = self._triggers.in_force(tx, flow.binding)
        active = trigger is not None and not trigger.paused
        if flow.attempt:
            record = counted(self._processes.get(tx, flow.binding), outcome, self._clock.now(), active=active)
            self._processes.save(tx, flow.binding, record)
            active = self._judge(tx, flow, outcome, record, active=active)
        for cause in follow_up(flow, outcome, active=active):
            self.want(tx, flow.binding, cause)
        self.plan_next(tx, flow.binding)

    def _judge(self, tx: Transaction, flow: Flow, outcome: FlowOutcome, record: Record, *, active: bool) -> bool:
        """Stop a trigger that failed too often, or let a stopped one go on; tells whether it is active now."""
        trigger = self._triggers.find(tx, flow.binding)
        if trigger is None:
            return active
        if reason := reason_to_stop(trigger, record, outcome):
            log.warning("trigger_stopped", dataset=str(flow.dataset_id), reason=reason.value, flow=flow.id)
            self._triggers.set(tx, replace(trigger, stopped_at=self._clock.now(), stop_reason=reason))
        elif resumes(trigger, flow, outcome):
            self._triggers.set(tx, replace(trigger, stopped_at=None, stop_reason=None))
        else:
            return active
        self._outbox.post(tx, TriggerChanged(dataset_id=flow.dataset_id))
        return reason is None and trigger.paused_at is None

    def hold(self, tx: Transaction, binding: Binding) -> None:
        """Pause an active rule of time: whoever cancels its flow wants no other at once."""
        trigger = self._triggers.find(tx, binding)
        if trigger is not None and trigger.is_timed and not trigger.paused:
            self._triggers.set(tx, replace(trigger, paused_at=self._clock.now()))
            self._outbox.post(tx, TriggerChanged(dataset_id=binding.dataset_id))

    def plan_next(self, tx: Transaction, binding: Binding) -> None:
        """Have the flow wait that an active rule of time starts next."""
        trigger = self._triggers.find(tx, binding)
        if trigger is not None and not trigger.paused and trigger.is_timed:
            self.want(tx, binding, FlowCause(CauseKind.AUTO_POLLING))

    def forget(self, tx: Transaction, live: Sequence[Flow], reason: str) -> None:
        """End what has no run yet."""
        for flow in live:
            if flow.state is not FlowState.RUNNING:
                self.end(tx, flow, FlowOutcome(OutcomeKind.ABORTED, reason))

    def _close_attempt(self, tx: Transaction, flow: Flow, outcome: FlowOutcome, again: Timestamp | None = None) -> None:
        what = Happening(attempt=flow.attempt, run_id=flow.run_id, outcome=outcome, scheduled_at=again)
        self._note(tx, flow, EventKind.ATTEMPT_FINISHED, what)
        self._history.finish(tx, flow, outcome, self._clock.now())

    def _announce(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> None:
        tx.on_commit(partial(metrics.RUNS_ENDED.add, outcome.kind.value))
        self._outbox.post(
            tx,
            FlowFinished(
                flow_id=str(flow.id),
                dataset_id=flow.dataset_id,
                type=flow.type,
                outcome=outcome.kind,
                head=self._references.head(tx, flow.dataset_id),
            ),
        )

    def _note(self, tx: Transaction, flow: Flow, kind: EventKind, what: Happening) -> None:
        self._history.note(tx, flow.id, self._clock.now(), kind, what)

    def _saved(self, tx: Transaction, flow: Flow) -> Flow:
        flow = replace(flow, priority=priority(flow.causes, flow.config.priority))
        self._flows.save(tx, flow)
        return flow
