"""Rules for the inputs of a transformation (ODF: ExecuteTransform)."""

from kamu_assets.odf.chain_errors import InputMismatchError, InvalidEventError, NoOpEventError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data_rules import is_unchanged
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput, MetadataBlock, SetTransform
from kamu_assets.odf.definition_rules import resolved_id
from kamu_assets.odf.identity import DatasetID


def inputs_are_those_of_the_transform(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, ExecuteTransform):
        return
    if state.transform is None:
        raise InvalidEventError("ExecuteTransform needs a SetTransform before it")
    expected = _expected_inputs(state, state.transform)
    if [item.dataset_id for item in event.query_inputs] != expected:
        raise InputMismatchError("the inputs are not those of the transform, in its order")


def _expected_inputs(state: ChainState, transform: SetTransform) -> list[DatasetID]:
    # Kamu stops looking for the transform as soon as it has met both a schema and a previous query.
    if state.last_transform is not None and state.transform_at < min(state.schema_at, state.last_transform_at):
        return [item.dataset_id for item in state.last_transform.query_inputs]
    return [resolved_id(item.dataset_ref) for item in transform.inputs]


def inputs_continue(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, ExecuteTransform):
        return
    previous = state.last_transform.query_inputs if state.last_transform else None
    if previous is not None and len(previous) != len(event.query_inputs):
        raise InputMismatchError("the number of inputs differs from that of the previous query")
    for index, item in enumerate(event.query_inputs):
        _input_continues(item, previous[index] if previous else None)


def _input_continues(item: ExecuteTransformInput, previous: ExecuteTransformInput | None) -> None:
    if item.new_block_hash is not None and item.new_block_hash == item.prev_block_hash:
        raise InputMismatchError(f"input {item.dataset_id}: the new block is the previous one")
    if item.new_offset is not None and item.new_offset == item.prev_offset:
        raise InputMismatchError(f"input {item.dataset_id}: the new offset is the previous one")
    if item.new_offset is not None and item.new_block_hash is None:
        raise InputMismatchError(f"input {item.dataset_id}: new records need a new block")
    if previous is None:
        return
    if item.prev_block_hash != previous.last_block_hash:
        raise InputMismatchError(f"input {item.dataset_id} was last read up to block {previous.last_block_hash}")
    if item.prev_offset != previous.last_offset:
        raise InputMismatchError(f"input {item.dataset_id} was last read up to offset {previous.last_offset}")


def transforming_changes_something(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, ExecuteTransform) or not is_unchanged(state, event):
        return
    if all(item.new_block_hash is None and item.new_offset is None for item in event.query_inputs):
        raise NoOpEventError("no data, and neither watermark, checkpoint nor inputs changed")
