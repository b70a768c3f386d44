"""What runs, and how far it has come: flows, their attempts and what happened to them."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.results import FlowResult
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.flows.scopes import Scope, dataset_of
from kamu_assets.odf.identity import AccountID, DatasetID, DatasetKind
from kamu_assets.odf.timestamp import Timestamp


class FlowType(StrEnum):
    """What a flow does: to a dataset first; to a receiver of webhooks and to the node last."""

    INGEST = "INGEST"
    EXECUTE_TRANSFORM = "EXECUTE_TRANSFORM"
    HARD_COMPACTION = "HARD_COMPACTION"
    RESET = "RESET"
    RESET_TO_METADATA = "RESET_TO_METADATA"
    VERIFY = "VERIFY"
    WEBHOOK_DELIVER = "WEBHOOK_DELIVER"
    SYSTEM_GC = "SYSTEM_GC"

    @classmethod
    def updating(cls, kind: DatasetKind) -> "FlowType":
        """The flow that brings a dataset of this kind up to date."""
        return cls.INGEST if kind == DatasetKind.ROOT else cls.EXECUTE_TRANSFORM

    @property
    def full_name(self) -> str:
        """As kamu's configuration calls it."""
        return _FULL_NAMES[self]

    @property
    def words(self) -> str:
        """As people are told of it."""
        return _WORDS.get(self) or self.value.lower().replace("_", " ")

    @property
    def kinds(self) -> frozenset[DatasetKind]:
        """Of datasets that it may be done to; none: it is not done to datasets."""
        return _KINDS.get(self, _BOTH)

    @property
    def computes(self) -> bool:
        """Whether it takes the engine that its dataset names, for its transform or to preprocess what it polls."""
        return self in _COMPUTING

    @property
    def is_maintenance(self) -> bool:
        """Whether data stays what it is: it can wait until there is nothing else to do."""
        return self in _MAINTENANCE

    @property
    def tells(self) -> bool:
        """Whether it waits for somebody outside most of the time: such flows have places of their own."""
        return self is FlowType.WEBHOOK_DELIVER

    @property
    def rewrites(self) -> bool:
        """Whether another chain takes the place of the dataset's."""
        return self in _REWRITING


_FULL_NAMES = {
    FlowType.INGEST: "dev.kamu.flow.dataset.ingest",
    FlowType.EXECUTE_TRANSFORM: "dev.kamu.flow.dataset.transform",
    FlowType.HARD_COMPACTION: "dev.kamu.flow.dataset.compact",
    FlowType.RESET: "dev.kamu.flow.dataset.reset",
    FlowType.RESET_TO_METADATA: "dev.kamu.flow.dataset.reset_to_metadata",
    # kamu has no such flow.
    FlowType.VERIFY: "dev.kamu.flow.dataset.verify",
    FlowType.WEBHOOK_DELIVER: "dev.kamu.flow.webhook.deliver",
    FlowType.SYSTEM_GC: "dev.kamu.flow.system.gc",
}
_WORDS = {
    FlowType.EXECUTE_TRANSFORM: "transform",
    FlowType.HARD_COMPACTION: "compaction",
    FlowType.WEBHOOK_DELIVER: "webhook delivery",
    FlowType.SYSTEM_GC: "garbage collection",
}
_BOTH = frozenset(DatasetKind)
_KINDS = {
    FlowType.INGEST: frozenset({DatasetKind.ROOT}),
    FlowType.HARD_COMPACTION: frozenset({DatasetKind.ROOT}),
    FlowType.EXECUTE_TRANSFORM: frozenset({DatasetKind.DERIVATIVE}),
    FlowType.WEBHOOK_DELIVER: frozenset(),
    FlowType.SYSTEM_GC: frozenset(),
}
_COMPUTING = frozenset({FlowType.INGEST, FlowType.EXECUTE_TRANSFORM})
_MAINTENANCE = frozenset({FlowType.HARD_COMPACTION, FlowType.VERIFY, FlowType.SYSTEM_GC})
_REWRITING = frozenset({FlowType.HARD_COMPACTION, FlowType.RESET, FlowType.RESET_TO_METADATA})


@dataclass(frozen=True, slots=True)
class Binding:
    """What there is at most one live flow of: something that is done to, or for, somebody."""

    scope: Scope
    type: FlowType

    @property
    def dataset_id(self) -> DatasetID | None:
        """What it is about, if it is about one dataset."""
        return dataset_of(self.scope)


class FlowState(StrEnum):
    """WAITING for its time; RUNNING while a run exists for it; RETRYING between two attempts."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
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
    # Of a failure: whether the same work may succeed another time.
    recoverable: bool = True
    # Of a failure: the input that was reset or compacted, so that nothing can be computed on from what was read of it.
    rewritten_input: DatasetID | None = None
    # Of a failure: seconds that whoever was asked wants to be left alone. Told to who plans the next attempt.
    retry_after: float | None = None
    # Of a failure: whether the node alone is to blame. It is tried until that is mended, and speaks against nobody.
    by_node: bool = False


class WaitKind(StrEnum):
    """Why a flow does not start yet."""

    SCHEDULE = "SCHEDULE"
    THROTTLING = "THROTTLING"
    REACTIVE = "REACTIVE"
    EXECUTOR = "EXECUTOR"


@dataclass(frozen=True, slots=True)
class StartCondition:
    """What a flow waits for: a time, more records or a deadline, or an executor that takes its run."""

    kind: WaitKind
    until: Timestamp | None = None
    # Of THROTTLING: how long flows of a binding keep apart, and when this one had started without it.
    interval_seconds: float | None = None
    shifted_from: Timestamp | None = None
    run_id: str | None = None
    # Of REACTIVE: how many records have come so far, and how many are waited for.
    records: int = 0
    min_records: int = 0
    watermark_moved: bool = False
    breaking: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """One activity from its first cause to its outcome.

    The id of the attempt's run is chosen before the run exists, so that a crash between the two is repaired.
    """

    # Counted up over the whole node; 0 before there is a row.
    id: int
    scope: Scope
    type: FlowType
    causes: tuple[FlowCause, ...]
    state: FlowState
    created_at: Timestamp
    # What came when its run had been made already: the business of the flow that follows.
    late_causes: tuple[FlowCause, ...] = ()
    condition: StartCondition | None = None
    # When the next attempt starts, or the last one was meant to.
    scheduled_at: Timestamp | None = None
    first_scheduled_at: Timestamp | None = None
    attempt: int = 0
    run_id: str | None = None
    # The first and the previous attempt's runs, from the second attempt on.
    root_run_id: str | None = None
    parent_run_id: str | None = None
    submitted_at: Timestamp | None = None
    started_at: Timestamp | None = None
    attempt_ended_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    cancel_requested: bool = False
    # As it was when the flow began to wait.
    config: FlowConfig = PLAIN
    # Higher first, among the flows of an account.
    priority: int = 0
    # What keeps it from beginning, where that is worth telling.
    waits_for: str | None = None
    outcome: FlowOutcome | None = None
    # What the last attempt achieved, as soon as that is known.
    result: FlowResult | None = None

    @property
    def binding(self) -> Binding:
        return Binding(self.scope, self.type)

    @property
    def dataset_id(self) -> DatasetID | None:
        """What it is about, if it is about one dataset."""
        return dataset_of(self.scope)

    @property
    def cause(self) -> FlowCause:
        """The first one."""
        return self.causes[0]

    @property
    def initiator(self) -> AccountID | None:
        """The account that asked first, if one did."""
        return next((cause.account for cause in self.causes if cause.account is not None), None)

    @property
    def status(self) -> FlowState:
        """The state as it is shown: a flow whose run waits for an executor waits."""
        if self.state is FlowState.RUNNING and self.started_at is None:
            return FlowState.WAITING if self.attempt <= 1 else FlowState.RETRYING
        return self.state


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a flow."""

    number: int
    run_id: str
    queued_at: Timestamp
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None
    outcome: FlowOutcome | None = None
    result: FlowResult | None = None


@dataclass(frozen=True, slots=True)
class FlowLoad:
    """How many flows there are in each live state."""

    waiting: int
    running: int
