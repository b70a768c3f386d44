"""Flows whose runs are jobs of the `flows` location: what their runs are told, and what runs from the UI ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dagster import DagsterRun

from kamu_assets.flows.arguments import CompactionArguments, ResetArguments
from kamu_assets.flows.model import Flow, FlowType
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.flows.scopes import Scope, SystemScope, WebhookScope
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.names import JOB_DELIVER, TAG_IDLE


@dataclass(frozen=True, slots=True)
class Operation:
    """A job and its only op: Dagster wants two names."""

    job: str
    op: str


OPERATIONS: Final = {
    FlowType.HARD_COMPACTION: Operation("compact_dataset", "compact"),
    FlowType.RESET: Operation("reset_dataset", "reset"),
    FlowType.RESET_TO_METADATA: Operation("reset_dataset_to_metadata", "reset_to_metadata"),
    FlowType.WEBHOOK_DELIVER: Operation(JOB_DELIVER, "deliver"),
    FlowType.SYSTEM_GC: Operation("collect_garbage_of_node", "collect_garbage"),
}
_TYPES: Final = {operation.job: type_ for type_, operation in OPERATIONS.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run of one of these jobs is to do."""

    type: FlowType
    # As whoever started it calls it: its DID, or `account/name`.
    dataset: str | None
    config: FlowConfig
    # The webhook that is told.
    subscription: str | None = None


def config_of(flow: Flow) -> dict[str, Any]:
    """The run config of the flow's job."""
    told = _about(flow.scope)
    match flow.type:
        case FlowType.HARD_COMPACTION:
            limits = flow.config.compaction or CompactionArguments()
            told |= {"max_slice_size": limits.max_slice_size, "max_slice_records": limits.max_slice_records}
        case FlowType.RESET:
            told |= _where_to(flow.config.reset)
    return {"ops": {OPERATIONS[flow.type].op: {"config": told}}}


def asked_by(run: DagsterRun) -> Asked | None:
    """What the run's config says; None for runs of other jobs."""
    type_ = _TYPES.get(run.job_name)
    if type_ is None:
        return None
    told = _told(run.run_config, OPERATIONS[type_].op)
    dataset = told.get("dataset")
    subscription = told.get("webhook")
    return Asked(
        type_,
        None if dataset is None else str(dataset),
        _config(type_, told),
        None if subscription is None else str(subscription),
    )


def did_nothing(run: DagsterRun) -> bool:
    """Whether the run said that there was nothing to do."""
    return TAG_IDLE in run.tags


def _about(scope: Scope) -> dict[str, Any]:
    match scope:
        case DatasetID():
            return {"dataset": str(scope)}
        case WebhookScope():
            return {"webhook": scope.subscription_id}
        case SystemScope():
            return {}


def _where_to(reset: ResetArguments | None) -> dict[str, Any]:
    if reset is None:
        return {}
    told = {"new_head": reset.new_head, "old_head": reset.old_head}
    return {"to_seed": reset.new_head is None} | {name: str(block) for name, block in told.items() if block is not None}


def _told(run_config: Mapping[str, Any], op: str) -> Mapping[str, Any]:
    found: object = run_config
    for key in ("ops", op, "config"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _config(type_: FlowType, told: Mapping[str, Any]) -> FlowConfig:
    match type_:
        case FlowType.HARD_COMPACTION:
            given = {name: int(told[name]) for name in ("max_slice_size", "max_slice_records") if name in told}
            return FlowConfig(compaction=CompactionArguments(**given))
        case FlowType.RESET:
            blocks = {name: Multihash.parse(told[name]) for name in ("new_head", "old_head") if told.get(name)}
            return FlowConfig(reset=ResetArguments(**blocks))
        case _:
            return PLAIN
