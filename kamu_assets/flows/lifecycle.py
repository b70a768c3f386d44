"""The life of a flow, step by step: each takes the transaction, changes the rows and tells the history."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce

import structlog

from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.causes import CauseKind, FlowCause, merged, rewrite_found
from kamu_assets.flows.history.events import EventKind, Happening, failed_attempts, lost_attempts
from kamu_assets.flows.messages import FlowFinished
from kamu_assets.flows.model import (
    Binding,
    Flow,
    FlowOutcome,
    FlowState,
    OutcomeKind,
    StartCondition,
    WaitKind,
)
from kamu_assets.flows.planning import Facts, Plan, throttled
from kamu_assets.flows.plans import FlowPlans
from kamu_assets.flows.processes.store import Record
from kamu_assets.flows.progress import counted, follow_up, next_attempt, reason_to_stop, resumes, starts_anew
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.triggers.rules import emptying
from kamu_assets.monitoring import metrics
from kamu_assets.odf.timestamp import Timestamp

log = structlog.get_logger(__name__)


class FlowLife(FlowPlans):
    """Used by whoever changes flows: services, the scheduler, and workers that tell of their runs."""

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
            result=None,
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
        wanted = self.want(tx, binding, cause)
        # Whoever was faster gave it another run.
        return None if wanted.state is FlowState.RUNNING else self.begin(tx, wanted, run_id)

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

    def lose(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> None:
        """The attempt came to nothing that counts: the next one begins at once."""
        self._close_attempt(tx, flow, outcome)

    def lost(self, tx: Transaction, flow: Flow) -> int:
        """How many of its attempts were lost with their workers."""
        return lost_attempts(self._history.events(tx, flow.id))

    def settle(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> Flow:
        """The attempt ended like this: try again later where that may help, else the flow ends like it."""
        now = self._clock.now()
        failed = 1 + (failed_attempts(self._history.events(tx, flow.id)) if flow.attempt > 1 else 0)
        again = next_attempt(flow, outcome, failed=failed, now=now, chance=self._chance())
        if again is None:
            return self.end(tx, flow, outcome)
        again = throttled(Plan(again), Facts(now, last_attempt=now), self.rules).at
        self._close_attempt(tx, flow, outcome, again)
        log.info("flow_retries", flow=flow.id, attempt=flow.attempt, next_attempt=str(again), error=outcome.message)
        causes = reduce(lambda known, cause: tuple(merged(known, cause) or known), flow.late_causes, flow.causes)
        waiting = replace(flow, state=FlowState.RETRYING, scheduled_at=again, attempt_ended_at=now, condition=None)
        waiting = replace(waiting, causes=causes, late_causes=(), submitted_at=None, started_at=None)
        waiting = replace(waiting, waits_for=f"failed: {outcome.message}" if outcome.message else "failed")
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
        if flow.dataset_id is None or self._entries.find(tx, flow.dataset_id) is not None:
            self._go_on(tx, flow, outcome)
        return ended

    def _go_on(self, tx: Transaction, flow: Flow, outcome: FlowOutcome) -> None:
        if outcome.kind is OutcomeKind.ABORTED and flow.attempt and not flow.cancel_requested:
            # In Dagster's UI: it begins as little again as what was cancelled here.
            self.hold(tx, flow.binding)
        trigger = self._in_force(tx, flow.binding)
        active = trigger is not None and not trigger.paused
        if flow.attempt:
            record = counted(self._processes.get(tx, flow.binding), outcome, self._clock.now(), active=active)
            self._processes.save(tx, flow.binding, record)
            active = self._judge(tx, flow, outcome, record, active=active)
        if trigger is not None and outcome.rewritten_input is not None and starts_anew(trigger, outcome):
            self.want(tx, emptying(trigger.dataset_id), rewrite_found(outcome.rewritten_input))
        still: Sequence[FlowCause] = ()
        if isinstance(flow.scope, WebhookScope):
            still = self._receivers.ended(tx, flow.scope, outcome, late=bool(flow.late_causes))
        for cause in (*follow_up(flow, outcome, active=active), *still):
            following = self.want(tx, flow.binding, cause)
            if cause.kind is CauseKind.ITERATION_FINISHED:
                # Whoever asked for this one asked for all that follow from it.
                self.configure(tx, following, FlowConfig(ingest=flow.config.ingest))
        self.plan_next(tx, flow.binding)

    def _judge(self, tx: Transaction, flow: Flow, outcome: FlowOutcome, record: Record, *, active: bool) -> bool:
        """Stop a trigger that failed too often, or let a stopped one go on; tells whether it is active now."""
        if isinstance(flow.scope, WebhookScope):
            return self._judge_receiver(tx, flow.scope, outcome, record)
        trigger = self._triggers.find(tx, flow.binding)
        if trigger is None:
            return active
        if reason := reason_to_stop(trigger, record, outcome):
            log.warning("trigger_stopped", dataset=str(trigger.dataset_id), reason=reason.value, flow=flow.id)
            self._triggers.stop(tx, trigger.binding, self._clock.now(), reason)
        elif resumes(trigger, flow, outcome):
            self._triggers.stop(tx, trigger.binding, None, None)
        else:
            return active
        self.tell_of_rule(tx, trigger.dataset_id)
        return reason is None and trigger.paused_at is None

    def _judge_receiver(self, tx: Transaction, scope: WebhookScope, outcome: FlowOutcome, record: Record) -> bool:
        """The same of a receiver; one that was stopped goes on when its owner says so, and not before."""
        trigger = self._receivers.trigger(tx, scope)
        if trigger is None or trigger.paused:
            return False
        reason = reason_to_stop(trigger, record, outcome)
        if reason is not None:
            self._receivers.stop(tx, scope, reason)
        return reason is None

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
                head=self._references.head(tx, flow.dataset_id) if flow.dataset_id else None,
            ),
        )
