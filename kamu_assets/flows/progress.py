"""What an ended attempt means for its flow and its binding. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from kamu_assets.flows.causes import MANUAL_KINDS, CauseKind, FlowCause, is_manual
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.processes.store import Record
from kamu_assets.flows.results import has_more
from kamu_assets.flows.retrying import delay
from kamu_assets.flows.triggers.rules import StopReason, Trigger, recovers
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp


def counted(record: Record, outcome: FlowOutcome, now: Timestamp, *, active: bool) -> Record:
    """The binding's record with one more flow; what was aborted does not count.

    Failures in a row are those of an active trigger.
    """
    after = replace(record, last_attempt_at=now)
    counts = active and not outcome.by_node
    match outcome.kind:
        case OutcomeKind.ABORTED:
            return record
        case OutcomeKind.FAILED:
            return replace(after, last_failure_at=now, consecutive_failures=record.consecutive_failures + counts)
        case _:
            return replace(after, last_success_at=now, consecutive_failures=0)


def reason_to_stop(trigger: Trigger, record: Record, outcome: FlowOutcome) -> StopReason | None:
    """Why an active trigger starts nothing any more after this, if so; `record` counts it already."""
    if trigger.paused or outcome.kind is not OutcomeKind.FAILED or starts_anew(trigger, outcome):
        return None
    if outcome.by_node:
        return None
    if not outcome.recoverable:
        return StopReason.UNRECOVERABLE_FAILURE
    enough = trigger.stop_after is not None and record.consecutive_failures >= trigger.stop_after
    return StopReason.STOP_POLICY if enough else None


def starts_anew(trigger: Trigger, outcome: FlowOutcome) -> bool:
    """Whether an active trigger has all rows dropped and computed again after this."""
    return not trigger.paused and recovers(trigger.rule) and outcome.rewritten_input is not None


def resumes(trigger: Trigger, flow: Flow, outcome: FlowOutcome) -> bool:
    """Whether a stopped trigger goes on: somebody asked for the flow, and it went well."""
    went_well = outcome.kind in {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}
    return went_well and trigger.stopped_at is not None and is_manual(flow.causes)


def follow_up(flow: Flow, outcome: FlowOutcome, *, active: bool) -> Sequence[FlowCause]:
    """The causes of the flow that follows at once: what came while the last attempt was at work.

    Whoever aborts a flow wants nothing of it done; what is wrong for good stays wrong.
    """
    match outcome.kind:
        case OutcomeKind.ABORTED:
            return ()
        case OutcomeKind.FAILED if not outcome.recoverable:
            return ()
        case OutcomeKind.FAILED if not active:
            return [cause for cause in flow.late_causes if cause.kind in MANUAL_KINDS]
        case _ if has_more(flow.result) and flow.config.ingest and flow.config.ingest.fetch_next_iteration:
            return (*flow.late_causes, FlowCause(CauseKind.ITERATION_FINISHED))
        case _:
            return flow.late_causes


def next_attempt(flow: Flow, outcome: FlowOutcome, *, failed: int, now: Timestamp, chance: float) -> Timestamp | None:
    """When a flow is tried again that has failed so many times, if it is."""
    policy = flow.config.retry
    if policy is None or outcome.kind is not OutcomeKind.FAILED or flow.cancel_requested:
        return None
    if not outcome.recoverable or (failed > policy.max_attempts and not outcome.by_node):
        return None
    seconds = max(delay(policy, failed=failed, chance=chance), outcome.retry_after or 0)
    return Timestamp(now.ns + int(seconds * NANOS_PER_SECOND))
