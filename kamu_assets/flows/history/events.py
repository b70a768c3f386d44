"""What happened to a flow, in the order it happened."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.model import FlowOutcome, OutcomeKind, StartCondition
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.odf.timestamp import Timestamp


class EventKind(StrEnum):
    """The kinds of events in the history of a flow."""

    INITIATED = "INITIATED"
    CAUSE_ADDED = "CAUSE_ADDED"
    CONFIG_MODIFIED = "CONFIG_MODIFIED"
    CONDITION_UPDATED = "CONDITION_UPDATED"
    SCHEDULED = "SCHEDULED"
    ATTEMPT_QUEUED = "ATTEMPT_QUEUED"
    ATTEMPT_RUNNING = "ATTEMPT_RUNNING"
    ATTEMPT_FINISHED = "ATTEMPT_FINISHED"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Happening:
    """What an event tells beside its kind: the member that its kind has."""

    cause: FlowCause | None = None
    condition: StartCondition | None = None
    # SCHEDULED: when it starts. ATTEMPT_FINISHED: when the next attempt does, if there is one.
    scheduled_at: Timestamp | None = None
    attempt: int | None = None
    run_id: str | None = None
    outcome: FlowOutcome | None = None
    config: FlowConfig | None = None


NOTHING = Happening()


@dataclass(frozen=True, slots=True)
class FlowEvent:
    """One thing that happened; ids count up over all flows."""

    id: int
    flow_id: int
    at: Timestamp
    kind: EventKind
    what: Happening


def lost_attempts(live: Iterable[FlowEvent]) -> int:
    """Of a flow that has not ended: how many began once more because their workers died."""
    ended = [event.what for event in live if event.kind is EventKind.ATTEMPT_FINISHED]
    failed = [what for what in ended if what.outcome and what.outcome.kind is OutcomeKind.FAILED]
    return sum(what.scheduled_at is None for what in failed)


def failed_attempts(live: Iterable[FlowEvent]) -> int:
    """How many failed and were tried again later, as a policy says; what the node is to blame for is forgiven."""
    again = (each.what for each in live if each.kind is EventKind.ATTEMPT_FINISHED and each.what.scheduled_at)
    return sum(what.outcome is None or not what.outcome.by_node for what in again)
