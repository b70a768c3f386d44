"""The standing rules that start flows by themselves."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.scopes import Scope
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds, counted from the end of the last attempt."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a five-field cron expression, in UTC."""

    expression: str


class BreakingChange(StrEnum):
    """What is done when an input is reset or compacted, so that nothing can be computed on from what was read of it."""

    # Whatever is computed next fails, and somebody has to decide.
    NO_ACTION = "NO_ACTION"
    # Drop all rows and compute them anew.
    RECOVER = "RECOVER"


@dataclass(frozen=True, slots=True)
class Reactive:
    """When inputs change: at once, or when so many records have come, or so long after the first of them."""

    min_records: int = 0
    max_interval_seconds: int = 0
    breaking_change: BreakingChange = BreakingChange.NO_ACTION

    @property
    def is_immediate(self) -> bool:
        return self.min_records == 0


TimedRule = Interval | Cron
TriggerRule = TimedRule | Reactive


class StopReason(StrEnum):
    """Why a trigger was stopped that nobody paused."""

    STOP_POLICY = "STOP_POLICY"
    UNRECOVERABLE_FAILURE = "UNRECOVERABLE_FAILURE"


@dataclass(frozen=True, slots=True)
class Trigger:
    """The standing rule that starts the flows of a binding."""

    scope: Scope
    type: FlowType
    rule: TriggerRule
    # After so many failed flows in a row; None: never.
    stop_after: int | None = None
    paused_at: Timestamp | None = None
    stopped_at: Timestamp | None = None
    stop_reason: StopReason | None = None

    @property
    def paused(self) -> bool:
        """Whether somebody paused it, or too many failures stopped it."""
        return self.paused_at is not None or self.stopped_at is not None

    @property
    def is_timed(self) -> bool:
        """Whether it names times, rather than changes of inputs."""
        return not isinstance(self.rule, Reactive)

    @property
    def binding(self) -> Binding:
        return Binding(self.scope, self.type)

    @property
    def dataset_id(self) -> DatasetID:
        """What it updates: rules of others than datasets are kept with what they are about."""
        if not isinstance(self.scope, DatasetID):
            raise TypeError(f"{self.scope} is no dataset")
        return self.scope


def followed(binding: Binding) -> Trigger | None:
    """What holds where nobody set a trigger: derivatives follow their inputs at once, and are never stopped."""
    if binding.type is not FlowType.EXECUTE_TRANSFORM or binding.dataset_id is None:
        return None
    return Trigger(binding.dataset_id, binding.type, Reactive())


def recovers(rule: TriggerRule | None) -> bool:
    """Whether all is computed anew when an input was rewritten."""
    return isinstance(rule, Reactive) and rule.breaking_change is BreakingChange.RECOVER


def emptying(dataset: DatasetID) -> Binding:
    """What is done to a derivative before it is computed anew."""
    return Binding(dataset, FlowType.RESET_TO_METADATA)


@dataclass(frozen=True, slots=True)
class PlannedTrigger:
    """A trigger, and when the flow that it has waiting starts."""

    trigger: Trigger
    next_due: Timestamp | None
