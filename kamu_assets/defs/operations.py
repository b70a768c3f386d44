"""Jobs that do to one dataset, or to the node, what flows of their types do; Dagster's UI can start them by hand."""

import logging
from typing import Protocol

from dagster import Config, Failure, InitResourceContext, JobDefinition, OpExecutionContext, job, op, resource
from pydantic import Field

from kamu_assets.coordinator.compaction_plan import MAX_SLICE_RECORDS, MAX_SLICE_SIZE, CompactionLimits
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.defs.resources import NoNodeError
from kamu_assets.errors import InvalidError, KamuError
from kamu_assets.odf.identity import DatasetRef, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.names import TAG_IDLE
from kamu_assets.orchestration.reports.materialization import Shown

OPERATOR = "operator"
_KEPT = "Nothing was changed. Correct what the message names, and run it again."
_COLLECTED = "What was removed before is gone for good. The run's log tells what is wrong; the next run looks again."


class Operator(Protocol):
    """Does it; each tells whether there was anything to do."""

    def compact(self, dataset: DatasetRef, limits: CompactionLimits, *, run_id: str, log: logging.Logger) -> bool: ...

    def reset(self, dataset: DatasetRef, options: ResetOptions, *, run_id: str, log: logging.Logger) -> bool: ...

    def reset_to_metadata(self, dataset: DatasetRef, *, run_id: str, log: logging.Logger) -> bool: ...

    def collect_garbage(self, *, run_id: str, log: logging.Logger) -> bool: ...


class BadResetError(InvalidError):
    """It does not say where to."""

    def __init__(self) -> None:
        super().__init__("a reset needs either new_head, the hash of a block, or to_seed: true")


class DatasetConfig(Config):
    """Which dataset."""

    dataset: str = Field(description="account/name, or did:odf:…")

    @property
    def ref(self) -> DatasetRef:
        return parse_dataset_ref(self.dataset)


class CompactConfig(DatasetConfig):
    """How large its slices may get."""

    max_slice_size: int = Field(MAX_SLICE_SIZE, description="bytes that slices are not put together beyond")
    max_slice_records: int = Field(MAX_SLICE_RECORDS, description="rows that slices are not put together beyond")


class ResetConfig(DatasetConfig):
    """Where its head goes."""

    new_head: str | None = Field(None, description="hash of the block to go back to")
    to_seed: bool = Field(False, description="go back to the first block")
    old_head: str | None = Field(None, description="only if this is the head by then")

    def options(self, run_id: str) -> ResetOptions:
        """BadResetError, unless it says where to."""
        if (self.new_head is None) is not self.to_seed:
            raise BadResetError
        new, old = (None if text is None else Multihash.parse(text) for text in (self.new_head, self.old_head))
        return ResetOptions(new_head=new, old_head=old, run_id=run_id)


@resource
def no_operator(_context: InitResourceContext) -> Operator:
    """Stands in for the node where jobs are only listed."""
    raise NoNodeError


@op(required_resource_keys={OPERATOR})
def compact(context: OpExecutionContext, config: CompactConfig) -> None:
    """Put small slices of a root together; its rows stay what they are."""
    try:
        limits = CompactionLimits(config.max_slice_size, config.max_slice_records)
        _end(context, did=_operator(context).compact(config.ref, limits, run_id=context.run_id, log=context.log))
    except KamuError as error:
        raise _failure(error, config.dataset) from error.with_traceback(None)


@op(required_resource_keys={OPERATOR})
def reset(context: OpExecutionContext, config: ResetConfig) -> None:
    """Let the head of a dataset go back to an earlier block."""
    try:
        options = config.options(context.run_id)
        did = _operator(context).reset(config.ref, options, run_id=context.run_id, log=context.log)
        _end(context, did=did)
    except KamuError as error:
        raise _failure(error, config.dataset) from error.with_traceback(None)


@op(required_resource_keys={OPERATOR})
def reset_to_metadata(context: OpExecutionContext, config: DatasetConfig) -> None:
    """Drop all rows of a dataset, and keep everything else that is said of it."""
    try:
        _end(context, did=_operator(context).reset_to_metadata(config.ref, run_id=context.run_id, log=context.log))
    except KamuError as error:
        raise _failure(error, config.dataset) from error.with_traceback(None)


@op(required_resource_keys={OPERATOR})
def collect_garbage(context: OpExecutionContext) -> None:
    """Remove files that resets, compactions and failed writes left, once nobody needs them any more."""
    try:
        _end(context, did=_operator(context).collect_garbage(run_id=context.run_id, log=context.log))
    except KamuError as error:
        raise _failure(error, "all", what_to_do=_COLLECTED) from error.with_traceback(None)


@job(description="Puts small slices of a root dataset together; its rows stay what they are.")
def compact_dataset() -> None:
    compact()


@job(description="Lets the head of a dataset go back to an earlier block: what came after it counts no more.")
def reset_dataset() -> None:
    reset()


@job(description="Drops all rows of a dataset and keeps everything else that is said of it.")
def reset_dataset_to_metadata() -> None:
    reset_to_metadata()


@job(description="Removes files that nothing leads to any more, once they are old enough.")
def collect_garbage_of_node() -> None:
    collect_garbage()


JOBS: list[JobDefinition] = [compact_dataset, reset_dataset, reset_dataset_to_metadata, collect_garbage_of_node]


def _operator(context: OpExecutionContext) -> Operator:
    operator: Operator = context.resources.operator
    return operator


def _end(context: OpExecutionContext, *, did: bool) -> None:
    if not did:
        context.instance.add_run_tags(context.run_id, {TAG_IDLE: "true"})


def _failure(error: KamuError, dataset: str, *, what_to_do: str = _KEPT) -> Failure:
    """A run's end that is no bug of ours, without a traceback."""
    facts: dict[str, Shown] = {"what_to_do": what_to_do, "dataset": dataset}
    return Failure(description=str(error), metadata=facts)
