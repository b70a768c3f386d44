"""What an ended attempt means for its flow and its binding. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.process_store import Record
from kamu_assets.flows.retrying import delay
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp


def counted(record: Record, outcome: FlowOutcome, now: Timestamp) -> Record:
    """The binding's record with one more flow; what was aborted does not count."""
    after = replace(record, last_attempt_at=now)
    match outcome.kind:
        case OutcomeKind.ABORTED:
            return record
        case OutcomeKind.FAILED:
            return replace(after, last_failure_at=now, consecutive_failures=record.consecutive_failures + 1)
        case _:
            return replace(after, last_success_at=now, consecutive_failures=0)


def follow_up(flow: Flow, outcome: FlowOutcome) -> Sequence[FlowCause]:
    """The causes of the flow that follows at once: what came while the last attempt was at work.

    Whoever aborts a flow wants nothing of it done.
    """
    return () if outcome.kind is OutcomeKind.ABORTED else flow.late_causes


def next_attempt(flow: Flow, outcome: FlowOutcome, *, now: Timestamp, chance: float) -> Timestamp | None:
    """When a failed flow is tried again, if it is."""
    policy = flow.config.retry
    if policy is None or outcome.kind is not OutcomeKind.FAILED or flow.cancel_requested:
        return None
    if not outcome.recoverable or flow.attempt > policy.max_attempts:
        return None
    seconds = delay(policy, failed=flow.attempt, chance=chance)
    return Timestamp(now.ns + int(seconds * NANOS_PER_SECOND))
