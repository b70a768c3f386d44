"""What runs, when and why: flows and the triggers that start them."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.odf.identity import AccountID, DatasetID, DatasetKind
from kamu_assets.odf.timestamp import Timestamp


class FlowType(StrEnum):
    """What a flow does to its dataset."""

    INGEST = "INGEST"
    EXECUTE_TRANSFORM = "EXECUTE_TRANSFORM"

    @classmethod
    def updating(cls, kind: DatasetKind) -> "FlowType":
        """The flow that brings a dataset of this kind up to date."""
        return cls.INGEST if kind == DatasetKind.ROOT else cls.EXECUTE_TRANSFORM


class CauseKind(StrEnum):
    """Why a flow exists."""

    MANUAL = "MANUAL"
    AUTO_POLLING = "AUTO_POLLING"
    INPUT_UPDATED = "INPUT_UPDATED"
    DAGSTER_UI = "DAGSTER_UI"


@dataclass(frozen=True, slots=True)
class FlowCause:
    """The first cause of a flow: the account that asked, or the input that changed."""

    kind: CauseKind
    account: AccountID | None = None
    input: DatasetID | None = None


class FlowState(StrEnum):
    """WAITING until it may be submitted; RUNNING while a Dagster run exists for it."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"


class OutcomeKind(StrEnum):
    """How a flow ended."""

    SUCCESS = "SUCCESS"
    UP_TO_DATE = "UP_TO_DATE"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class FlowOutcome:
    """How a flow ended, and the reason where there is one to tell."""

    kind: OutcomeKind
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """One activity from cause to outcome.

    The id of the attempt's run is chosen before the run exists, so that a crash between the two is repaired.
    """

    id: str
    dataset_id: DatasetID
    type: FlowType
    cause: FlowCause
    state: FlowState
    created_at: Timestamp
    attempt: int = 0
    run_id: str | None = None
    # The first and the previous attempt's runs, from the second attempt on.
    root_run_id: str | None = None
    parent_run_id: str | None = None
    submitted_at: Timestamp | None = None
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    cancel_requested: bool = False
    # What keeps it from beginning, where that is worth telling.
    waits_for: str | None = None
    outcome: FlowOutcome | None = None


@dataclass(frozen=True, slots=True)
class FlowLoad:
    """How many flows there are in each live state."""

    waiting: int
    running: int


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a five-field cron expression, in UTC."""

    expression: str


TriggerRule = Interval | Cron


@dataclass(frozen=True, slots=True)
class Trigger:
    """The standing rule that starts a dataset's flows."""

    dataset_id: DatasetID
    rule: TriggerRule
    next_due: Timestamp
    paused: bool = False
