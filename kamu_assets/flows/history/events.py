"""What happened to a flow, in the order it happened."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.model import FlowOutcome, StartCondition
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
