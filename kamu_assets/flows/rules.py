"""The standing rules that start flows by themselves."""

from dataclasses import dataclass

from kamu_assets.flows.model import Binding, FlowType
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


TriggerRule = Interval | Cron


@dataclass(frozen=True, slots=True)
class Trigger:
    """The standing rule that starts a dataset's flows."""

    dataset_id: DatasetID
    type: FlowType
    rule: TriggerRule
    paused: bool = False

    @property
    def binding(self) -> Binding:
        return Binding(self.dataset_id, self.type)


@dataclass(frozen=True, slots=True)
class PlannedTrigger:
    """A trigger, and when the flow that it has waiting starts."""

    trigger: Trigger
    next_due: Timestamp | None
