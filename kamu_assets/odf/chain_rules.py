"""When one block may follow another (ODF: Metadata Chain).

Rules run in the order in which kamu finds them broken, because that decides which error is reported: first what
the block says by itself, then what contradicts the blocks before it, last what the whole history decides.
"""

from collections import Counter
from collections.abc import Callable

from kamu_assets.odf.chain_errors import (
    AppendingSeedBlockToNonEmptyChainError,
    ChainRuleError,
    CheckpointMismatchError,
    DataBeforeSchemaError,
    FirstBlockMustBeSeedError,
    HashMismatchError,
    IncompatibleSchemaError,
    InputMismatchError,
    InvalidEventError,
    MixedSourcesError,
    NoOpEventError,
    OffsetsAreNotSequentialError,
    PrevBlockNotFoundError,
    SequenceIntegrityError,
    SystemTimeIsNotMonotonicError,
    UnimplementedEventError,
    WatermarkIsNotMonotonicError,
    WrongDatasetKindError,
)
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import (
    AddData,
    AddPushSource,
    DatasetKind,
    DisablePollingSource,
    DisablePushSource,
    ExecuteTransform,
    ExecuteTransformInput,
    MetadataBlock,
    Seed,
    SetDataSchema,
    SetPollingSource,
    SetTransform,
)
from kamu_assets.odf.defaults import with_defaults
from kamu_assets.odf.engine import is_normalized
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.schema_evolution import check_schema_change
from kamu_assets.odf.source import FetchStepEthereumLogs

__all__ = [
    "AppendingSeedBlockToNonEmptyChainError",
    "ChainRuleError",
    "ChainState",
    "CheckpointMismatchError",
    "DataBeforeSchemaError",
    "FirstBlockMustBeSeedError",
    "HashMismatchError",
    "IncompatibleSchemaError",
    "InputMismatchError",
    "InvalidEventError",
    "MixedSourcesError",
    "NoOpEventError",
    "OffsetsAreNotSequentialError",
    "PrevBlockNotFoundError",
    "SequenceIntegrityError",
    "SystemTimeIsNotMonotonicError",
    "UnimplementedEventError",
    "WatermarkIsNotMonotonicError",
    "WrongDatasetKindError",
    "check_append",
    "check_hash",
]

Rule = Callable[[ChainState, MetadataBlock], None]


def check_append(state: ChainState, block: MetadataBlock) -> None:
    """Raise unless `block` may follow the chain."""
    for rule in (*_BY_ITSELF, *_AGAINST_PREVIOUS, *_AGAINST_HISTORY):
        rule(state, block)


def check_hash(actual: Multihash, *, expected: Multihash | None) -> None:
    """Raise when a block is not the one that was asked for."""
    if expected is not None and actual != expected:
        raise HashMismatchError(expected=expected, actual=actual)


def _says_something(_: ChainState, block: MetadataBlock) -> None:
    match block.event:
        case AddData() as event:
            parts = (event.new_data, event.new_checkpoint, event.new_watermark, event.new_source_state)
        case ExecuteTransform() as event:
            parts = (event.new_data, event.new_checkpoint, event.new_watermark, None)
        case _:
            return
    if not any(part is not None for part in parts):
        raise NoOpEventError("the event is empty")


def _is_implemented(_: ChainState, block: MetadataBlock) -> None:
    if isinstance(block.event, DisablePushSource | DisablePollingSource):
        raise UnimplementedEventError(f"{block.event.kind} is not implemented")


def _seed_comes_first(_: ChainState, block: MetadataBlock) -> None:
    if block.prev_block_hash is None:
        if not isinstance(block.event, Seed):
            raise FirstBlockMustBeSeedError
        if block.sequence_number != 0:
            raise SequenceIntegrityError(expected=0, given=block.sequence_number)
    elif isinstance(block.event, Seed):
        raise AppendingSeedBlockToNonEmptyChainError


def _offsets_continue(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform) or event.new_data is None:
        return
    interval = event.new_data.offset_interval
    expected = 0 if event.prev_offset is None else event.prev_offset + 1
    if interval.start != expected:
        raise OffsetsAreNotSequentialError(expected=expected, given=interval.start)
    if interval.end < interval.start:
        raise InvalidEventError(f"the offsets end at {interval.end} before they start at {interval.start}")


def _source_is_sound(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, SetPollingSource | AddPushSource):
        return
    if event.preprocess is not None and not is_normalized(event.preprocess):
        raise InvalidEventError("the preprocess query is not normalized")
    if event.read.schema_ is not None and event.read.ddl_schema is not None:
        raise InvalidEventError("cannot specify both `schema` and `ddlSchema`")
    fetch = event.fetch if isinstance(event, SetPollingSource) else None
    if isinstance(fetch, FetchStepEthereumLogs) and fetch.chain_id is None and fetch.node_url is None:
        raise InvalidEventError("EthereumLogs needs a `chainId` or a `nodeUrl`")


def _transform_is_sound(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, SetTransform):
        return
    if not event.inputs:
        raise InvalidEventError("a transform must have at least one input")
    ids = [_resolved_id(item.dataset_ref) for item in event.inputs]
    repeated = [str(dataset_id) for dataset_id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise InvalidEventError(f"the transform contains duplicate inputs: {', '.join(repeated)}")
    if any(item.alias is None for item in event.inputs):
        raise InvalidEventError("every input of a transform must have an alias")
    if not is_normalized(event.transform):
        raise InvalidEventError("the transform is not normalized: the last of `queries`, and only it, has no alias")


def _resolved_id(ref: str) -> DatasetID:
    parsed = parse_dataset_ref(ref)
    if not isinstance(parsed, DatasetID):
        raise InvalidEventError(f"input {ref} is not resolved to a dataset ID")
    return parsed


def _schema_has_one_form(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, SetDataSchema) and (event.raw_arrow_schema is None) == (event.schema_ is None):
        raise InvalidEventError("exactly one of `schema` and `rawArrowSchema` must be set")


def _follows_head(state: ChainState, block: MetadataBlock) -> None:
    if block.prev_block_hash == state.head:
        return
    if isinstance(block.event, Seed):
        raise AppendingSeedBlockToNonEmptyChainError
    raise PrevBlockNotFoundError(given=block.prev_block_hash, head=state.head)


def _sequence_continues(state: ChainState, block: MetadataBlock) -> None:
    expected = state.sequence_number + 1
    if block.sequence_number != expected:
        raise SequenceIntegrityError(expected=expected, given=block.sequence_number)


def _time_goes_on(state: ChainState, block: MetadataBlock) -> None:
    if state.system_time is not None and block.system_time < state.system_time:
        raise SystemTimeIsNotMonotonicError(previous=state.system_time, given=block.system_time)


def _watermark_grows(state: ChainState, block: MetadataBlock) -> None:
    if not isinstance(block.event, AddData | ExecuteTransform) or state.watermark is None:
        return
    given = block.event.new_watermark
    if given is None or given < state.watermark:
        raise WatermarkIsNotMonotonicError(previous=state.watermark, given=given)


def _previous_offset_is_carried(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform) or state.last_data is None:
        return
    if event.prev_offset != state.last_offset:
        raise InvalidEventError(f"the last offset is {state.last_offset}, not {event.prev_offset}")


def _sources_do_not_mix(state: ChainState, block: MetadataBlock) -> None:
    match block.event:
        case AddPushSource() as event:
            previous = state.push_sources.get(event.source_name)
            if previous is not None and with_defaults(previous) == with_defaults(event):
                raise NoOpEventError(f"push source {event.source_name!r} is the same as before")
            if previous is None and state.polling_source is not None:
                raise MixedSourcesError("cannot add a push source while a polling source is active")
        case SetPollingSource() if state.push_sources:
            raise MixedSourcesError("cannot set a polling source while push sources are active")


def _data_has_schema(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, AddData | ExecuteTransform) and event.new_data is not None and state.schema is None:
        raise DataBeforeSchemaError


def _checkpoint_is_carried(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData | ExecuteTransform):
        return
    expected = state.checkpoint.physical_hash if state.checkpoint else None
    if event.prev_checkpoint != expected:
        raise CheckpointMismatchError(expected=expected, given=event.prev_checkpoint)


def _is_unchanged(state: ChainState, event: AddData | ExecuteTransform) -> bool:
    checkpoint = event.new_checkpoint.physical_hash if event.new_checkpoint else None
    same_engine_state = checkpoint == event.prev_checkpoint and event.new_watermark == state.watermark
    return event.new_data is None and same_engine_state


def _adding_changes_something(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, AddData) or not _is_unchanged(state, event):
        return
    previous = state.last_data.new_source_state if isinstance(state.last_data, AddData) else None
    if event.new_source_state == previous:
        raise NoOpEventError("no data, and neither watermark, checkpoint nor source state changed")


def _inputs_are_those_of_the_transform(state: ChainState, block: MetadataBlock) -> None:
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
    return [_resolved_id(item.dataset_ref) for item in transform.inputs]


def _inputs_continue(state: ChainState, block: MetadataBlock) -> None:
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


def _transforming_changes_something(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, ExecuteTransform) or not _is_unchanged(state, event):
        return
    if all(item.new_block_hash is None and item.new_offset is None for item in event.query_inputs):
        raise NoOpEventError("no data, and neither watermark, checkpoint nor inputs changed")


def _schema_evolves(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, SetDataSchema) and event.schema_ is not None and state.schema is not None:
        check_schema_change(state.schema, event.schema_)


def _is_of_its_kind(state: ChainState, block: MetadataBlock) -> None:
    """AddData in roots only, ExecuteTransform in derivatives only (ODF: Metadata Events)."""
    event = block.event
    if state.seed is None or not isinstance(event, AddData | ExecuteTransform):
        return
    if isinstance(event, AddData) is not (state.seed.dataset_kind is DatasetKind.ROOT):
        raise WrongDatasetKindError(event=event.kind, kind=state.seed.dataset_kind)


_BY_ITSELF: tuple[Rule, ...] = (
    _says_something,
    _is_implemented,
    _seed_comes_first,
    _offsets_continue,
    _source_is_sound,
    _transform_is_sound,
    _schema_has_one_form,
)
_AGAINST_PREVIOUS: tuple[Rule, ...] = (
    _follows_head,
    _sequence_continues,
    _time_goes_on,
    _watermark_grows,
    _previous_offset_is_carried,
    _sources_do_not_mix,
)
_AGAINST_HISTORY: tuple[Rule, ...] = (
    _data_has_schema,
    _checkpoint_is_carried,
    _adding_changes_something,
    _inputs_are_those_of_the_transform,
    _inputs_continue,
    _transforming_changes_something,
    _schema_evolves,
    # No rule of kamu, hence after all of its rules.
    _is_of_its_kind,
)
