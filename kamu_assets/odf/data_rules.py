"""Rules for blocks that add records or say something about them (ODF: AddData, ExecuteTransform)."""

from kamu_assets.odf.chain_errors import (
    CheckpointMismatchError,
    DataBeforeSchemaError,
    InvalidEventError,
    NoOpEventError,
    OffsetsAreNotSequentialError,
    WatermarkIsNotMonotonicError,
    WrongDatasetKindError,
)
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, DatasetKind, ExecuteTransform, MetadataBlock


def says_something(_: ChainState, block: MetadataBlock) -> None:
    match block.event:
        case AddData() as event:
            parts = (event.new_data, event.new_checkpoint, event.new_watermark, event.new_source_state)
        case ExecuteTransform() as event:
            parts = (event.new_data, event.new_checkpoint, event.new_watermark, None)
        case _:
            return
    if not any(part is not None for part in parts):
        raise NoOpEventError("the event is empty")


def is_of_its_kind(state: ChainState, block: MetadataBlock) -> None:
    """AddData in roots only, ExecuteTransform in derivatives only (ODF: Metadata Events)."""
    event = block.event
    if state.seed is None or not isinstance(event, AddData | ExecuteTransform):
        return
    if isinstance(event, AddData) is not (state.seed.dataset_kind is DatasetKind.ROOT):
        raise WrongDatasetKindError(event=event.kind, kind=state.seed.dataset_kind)


def offsets_continue(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform) or event.new_data is None:
        return
    interval = event.new_data.offset_interval
    expected = 0 if event.prev_offset is None else event.prev_offset + 1
    if interval.start != expected:
        raise OffsetsAreNotSequentialError(expected=expected, given=interval.start)
    if interval.end < interval.start:
        raise InvalidEventError(f"the offsets end at {interval.end} before they start at {interval.start}")


def previous_offset_is_carried(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform) or state.last_data is None:
        return
    if event.prev_offset != state.last_offset:
        raise InvalidEventError(f"the last offset is {state.last_offset}, not {event.prev_offset}")


def watermark_grows(state: ChainState, block: MetadataBlock) -> None:
    if not isinstance(block.event, AddData | ExecuteTransform) or state.watermark is None:
        return
    given = block.event.new_watermark
    if given is None or given < state.watermark:
        raise WatermarkIsNotMonotonicError(previous=state.watermark, given=given)


def data_has_schema(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, AddData | ExecuteTransform) and event.new_data is not None and state.schema is None:
        raise DataBeforeSchemaError


def checkpoint_is_carried(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform):
        return
    expected = state.checkpoint.physical_hash if state.checkpoint else None
    if event.prev_checkpoint != expected:
        raise CheckpointMismatchError(expected=expected, given=event.prev_checkpoint)


def adding_changes_something(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData) or not is_unchanged(state, event):
        return
    previous = state.last_data.new_source_state if isinstance(state.last_data, AddData) else None
    if event.new_source_state == previous:
        raise NoOpEventError("no data, and neither watermark, checkpoint nor source state changed")


def is_unchanged(state: ChainState, event: AddData | ExecuteTransform) -> bool:
    checkpoint = event.new_checkpoint.physical_hash if event.new_checkpoint else None
    same_engine_state = checkpoint == event.prev_checkpoint and event.new_watermark == state.watermark
    return event.new_data is None and same_engine_state
