import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf import chain_errors as errors
from kamu_assets.odf.arrow_schema import upgrade_legacy_schema
from kamu_assets.odf.chain_errors import ChainRuleError
from kamu_assets.odf.chain_rules import check_append, check_hash
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataField, DataSchema, Int32Type, Int64Type, OffsetInterval, OptionType, StringType
from kamu_assets.odf.dataset import (
    AddData,
    AddPushSource,
    Checkpoint,
    DatasetKind,
    DataSlice,
    DisablePollingSource,
    ExecuteTransform,
    ExecuteTransformInput,
    MetadataBlock,
    MetadataEvent,
    Seed,
    SetDataSchema,
    SetInfo,
    SetTransform,
    SetVocab,
)
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import block_hash, decode_block, encode_block
from kamu_assets.odf.source import MergeStrategyAppend, ReadStepCsv, SourceState
from kamu_assets.odf.timestamp import Timestamp
from tests.unit.odf.reference import recorded_chains, vectors

HASH = Multihash.sha3_256(b"x")
INPUT = DatasetID.seeded(b"input")
SEED = Seed(dataset_id=DatasetID.seeded(b"foo"), dataset_kind=DatasetKind.ROOT)
SCHEMA = SetDataSchema(schema_=DataSchema(fields=(DataField(name="city", type=StringType()),)))
TRANSFORM = SetTransform(
    inputs=(TransformInput(dataset_ref=str(INPUT), alias="i"),),
    transform=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),)),
)


def slice_of(start: int, end: int) -> DataSlice:
    interval = OffsetInterval(start=start, end=end)
    return DataSlice(logical_hash=HASH, physical_hash=HASH, offset_interval=interval, size=1)


def next_block(state: ChainState, event: MetadataEvent, **changes: Any) -> MetadataBlock:
    block = MetadataBlock(
        system_time=state.system_time or Timestamp(0),
        prev_block_hash=state.head,
        sequence_number=state.sequence_number + 1,
        event=event,
    )
    return block.model_copy(update=changes)


def appended(state: ChainState, event: MetadataEvent, **changes: Any) -> ChainState:
    block = next_block(state, event, **changes)
    check_append(state, block)
    return state.extend(block_hash(encode_block(block)), block)


def chain(*events: MetadataEvent) -> ChainState:
    state = ChainState.empty()
    for event in events:
        state = appended(state, event)
    return state


def broken_rule(state: ChainState, block: MetadataBlock, options: dict[str, str]) -> str:
    """What kamu would say: the name of the broken rule, or Ok."""
    try:
        check_append(state, block)
        expected = options.get("expectedHash")
        check_hash(block_hash(encode_block(block)), expected=Multihash.parse(expected) if expected else None)
    except ChainRuleError as error:
        return error.rule
    # Moving the head is the job of the store; no rule of the chain is broken.
    return "RefCASFailed" if options.get("checkRefIs", str(state.head)) != str(state.head) else "Ok"


def run_step(state: ChainState, step: dict[str, Any]) -> ChainState:
    """One attempt of a vector: the new state, or the old one after the expected refusal."""
    block = MetadataBlock.model_validate(step["block"])

    assert broken_rule(state, block, step.get("appendOpts", {})) == step["expect"]

    if step["expect"] != "Ok":
        return state
    assert str(block_hash(encode_block(block))) == step["blockHash"]
    return state.extend(block_hash(encode_block(block)), block)


def test_chains_of_the_vectors_are_judged_as_kamu_judges_them() -> None:
    cases = vectors("chain_validation")
    for case in cases:
        state = ChainState.empty()
        for step in case["steps"]:
            state = run_step(state, step)
    assert len(cases) == 23


def read_chain(folder: Path) -> list[tuple[Multihash, MetadataBlock]]:
    blocks = []
    following: Multihash | None = Multihash.parse((folder / "refs" / "head").read_text().strip())
    while following is not None:
        raw = (folder / "blocks" / str(following)).read_bytes()
        check_hash(block_hash(raw), expected=following)
        blocks.append((following, decode_block(raw)))
        following = blocks[-1][1].prev_block_hash
    return blocks[::-1]


def test_recorded_chains_are_valid() -> None:
    count = 0
    for folder in recorded_chains():
        state = ChainState.empty()
        for hash_, block in read_chain(folder):
            check_append(state, block)
            state = state.extend(hash_, block)
        assert state.seed is not None
        count += 1
    assert count > 200


def test_the_state_gathers_the_newest_of_everything() -> None:
    source_state = SourceState(source_name="s", kind="odf/etag", value="1")
    data = AddData(new_data=slice_of(0, 9), new_watermark=Timestamp(1), new_source_state=source_state)
    watermark_only = AddData(prev_offset=9, new_watermark=Timestamp(2))

    state = chain(SEED, SCHEMA, SetVocab(event_time_column="t"), data, watermark_only, SetInfo(description="d"))

    assert state.next_offset == 10
    assert state.watermark == Timestamp(2)
    assert state.source_state == source_state
    assert (state.vocab.event_time_column, state.vocab.offset_column) == ("t", "offset")
    assert state.schema == SCHEMA
    assert not state.schema_is_legacy
    assert state.info == SetInfo(description="d")
    assert state.sequence_number == 5


def a_source(**csv: Any) -> AddPushSource:
    return AddPushSource(source_name="a", read=ReadStepCsv(**csv), merge=MergeStrategyAppend())


ROOT = chain(SEED, SCHEMA, AddData(new_data=slice_of(0, 9), new_watermark=Timestamp(5)))
DERIVATIVE = chain(SEED.model_copy(update={"dataset_kind": DatasetKind.DERIVATIVE}), TRANSFORM, SCHEMA)
READ = ExecuteTransformInput(dataset_id=INPUT, new_block_hash=HASH, new_offset=1)


@pytest.mark.parametrize(
    ("state", "event", "error"),
    [
        (ROOT, AddData(), errors.NoOpEventError),
        (ROOT, DisablePollingSource(), errors.UnimplementedEventError),
        (ROOT, SEED, errors.AppendingSeedBlockToNonEmptyChainError),
        (ROOT, AddData(prev_offset=9, new_data=slice_of(10, 11)), errors.WatermarkIsNotMonotonicError),
        (ROOT, AddData(prev_offset=9, new_data=slice_of(11, 11)), errors.OffsetsAreNotSequentialError),
        (ROOT, AddData(prev_offset=9, new_data=slice_of(10, 9)), errors.InvalidEventError),
        (ROOT, AddData(prev_offset=9, new_watermark=Timestamp(5)), errors.NoOpEventError),
        (ROOT, AddData(prev_offset=8, new_watermark=Timestamp(6)), errors.InvalidEventError),
        (
            ROOT,
            AddData(prev_offset=9, new_watermark=Timestamp(6), prev_checkpoint=HASH),
            errors.CheckpointMismatchError,
        ),
        (ROOT, SCHEMA, errors.NoOpEventError),
        (ROOT, SetDataSchema(), errors.InvalidEventError),
        (ROOT, SetDataSchema(schema_=DataSchema(fields=())), errors.IncompatibleSchemaError),
        (chain(SEED), AddData(new_data=slice_of(0, 9)), errors.DataBeforeSchemaError),
        (chain(SEED, a_source()), a_source(separator=","), errors.NoOpEventError),
        (chain(SEED), ExecuteTransform(query_inputs=(READ,), new_watermark=Timestamp(0)), errors.InvalidEventError),
        (DERIVATIVE, ExecuteTransform(query_inputs=(), new_data=slice_of(0, 1)), errors.InputMismatchError),
        (DERIVATIVE, AddData(new_data=slice_of(0, 1)), errors.WrongDatasetKindError),
        (
            chain(SEED, TRANSFORM, SCHEMA),
            ExecuteTransform(query_inputs=(READ,), new_data=slice_of(0, 1)),
            errors.WrongDatasetKindError,
        ),
    ],
)
def test_each_rule_has_its_error(state: ChainState, event: MetadataEvent, error: type[ChainRuleError]) -> None:
    with pytest.raises(error) as raised:
        check_append(state, next_block(state, event))

    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sequence_number": 7}, errors.SequenceIntegrityError),
        ({"system_time": Timestamp(-1)}, errors.SystemTimeIsNotMonotonicError),
        ({"prev_block_hash": HASH}, errors.PrevBlockNotFoundError),
        ({"prev_block_hash": None}, errors.FirstBlockMustBeSeedError),
    ],
)
def test_the_envelope_has_to_fit(changes: dict[str, object], error: type[ChainRuleError]) -> None:
    with pytest.raises(error):
        check_append(ROOT, next_block(ROOT, SetInfo(), **changes))


def test_a_second_seed_without_a_past_is_refused() -> None:
    second = MetadataBlock(system_time=Timestamp(0), sequence_number=0, event=SEED)

    with pytest.raises(errors.AppendingSeedBlockToNonEmptyChainError):
        check_append(ROOT, second)


def test_what_a_block_says_by_itself_is_judged_before_the_past() -> None:
    with pytest.raises(errors.NoOpEventError):
        check_append(ROOT, next_block(ROOT, AddData(), sequence_number=99))


def test_bytes_with_another_hash_are_refused() -> None:
    check_hash(HASH, expected=None)
    with pytest.raises(errors.HashMismatchError):
        check_hash(HASH, expected=Multihash.sha3_256(b"y"))


def test_an_input_has_to_continue_where_it_was_left() -> None:
    state = appended(DERIVATIVE, ExecuteTransform(query_inputs=(READ,), new_data=slice_of(0, 1)))
    skipped = ExecuteTransformInput(dataset_id=INPUT, prev_block_hash=HASH, prev_offset=2)

    with pytest.raises(errors.InputMismatchError):
        check_append(
            state,
            next_block(state, ExecuteTransform(query_inputs=(skipped,), prev_offset=1, new_watermark=Timestamp(1))),
        )


def fields(*named: tuple[str, Any]) -> SetDataSchema:
    return SetDataSchema(schema_=DataSchema(fields=tuple(DataField(name=name, type=type_) for name, type_ in named)))


BASE = (("a", StringType()), ("b", OptionType(inner=Int32Type())))


@pytest.mark.parametrize(
    ("after", "compatible"),
    [
        ((BASE[1], BASE[0]), True),
        ((*BASE, ("c", OptionType(inner=Int64Type()))), True),
        ((*BASE, ("c", Int64Type())), False),
        ((BASE[0],), False),
        ((BASE[0], ("b", OptionType(inner=Int64Type()))), False),
        ((BASE[0], ("b", Int32Type())), False),
        ((("a", OptionType(inner=StringType())), BASE[1]), False),
        ((*BASE, BASE[0]), False),
    ],
)
def test_schemas_evolve_compatibly(after: tuple[tuple[str, Any], ...], compatible: bool) -> None:  # noqa: FBT001 - a parameter of a test
    state = chain(SEED, fields(*BASE))
    block = next_block(state, fields(*after))

    if compatible:
        check_append(state, block)
    else:
        with pytest.raises(errors.InvalidEventError):
            check_append(state, block)


def test_a_legacy_schema_says_nothing_reliable_about_options() -> None:
    for case in vectors("legacy_arrow_schema"):
        raw = SetDataSchema(raw_arrow_schema=base64.b64decode(case["raw_arrow_schema_base64"]))
        state = chain(SEED, raw)
        same = upgrade_legacy_schema(raw.raw_arrow_schema or b"")
        options = tuple(
            field.model_copy(update={"type": field.type.inner})
            if isinstance(field.type, OptionType)
            else field.model_copy(update={"type": OptionType(inner=field.type)})
            for field in same.fields
        )

        assert state.schema_is_legacy
        check_append(state, next_block(state, SetDataSchema(schema_=same)))
        check_append(state, next_block(state, SetDataSchema(schema_=DataSchema(fields=options))))
        with pytest.raises(errors.IncompatibleSchemaError):
            check_append(state, next_block(state, SetDataSchema(schema_=DataSchema(fields=same.fields[1:]))))


@st.composite
def appends(draw: st.DrawFn) -> Callable[[ChainState], MetadataEvent]:
    """A data event that continues whatever chain it is given."""
    count = draw(st.integers(0, 3))
    later = draw(st.integers(0 if count else 1, 5))
    checkpoint = draw(st.none() | st.binary(max_size=2).map(Multihash.sha3_256))

    def event(state: ChainState) -> MetadataEvent:
        return AddData(
            prev_checkpoint=state.checkpoint.physical_hash if state.checkpoint else None,
            prev_offset=state.last_offset,
            new_data=slice_of(state.next_offset, state.next_offset + count - 1) if count else None,
            new_watermark=Timestamp((state.watermark.ns if state.watermark else 0) + later),
            new_checkpoint=Checkpoint(physical_hash=checkpoint, size=1) if checkpoint else None,
        )

    return event


@given(st.lists(appends(), max_size=8))
def test_offsets_and_watermarks_of_a_chain_only_grow(makers: list[Callable[[ChainState], MetadataEvent]]) -> None:
    state = chain(SEED, SCHEMA)
    for make in makers:
        before, state = state, appended(state, make(state))

        assert state.next_offset >= before.next_offset
        assert state.sequence_number == before.sequence_number + 1
        assert before.watermark is None or (state.watermark is not None and state.watermark >= before.watermark)


@given(st.lists(appends(), min_size=1, max_size=5), st.data())
def test_a_block_of_the_past_never_fits_again(
    makers: list[Callable[[ChainState], MetadataEvent]], data: st.DataObject
) -> None:
    state, history = chain(SEED, SCHEMA), []
    for make in makers:
        history.append(next_block(state, make(state)))
        state = appended(state, history[-1].event)

    with pytest.raises(ChainRuleError):
        check_append(state, data.draw(st.sampled_from(history)))
