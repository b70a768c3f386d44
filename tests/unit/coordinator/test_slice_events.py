"""When a block is written, and what it says (ODF: AddData)."""

from kamu_assets.coordinator.ingest.slice_events import NewData, plan_events, plan_watermark
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataField, DataSchema, Int64Type, OffsetInterval
from kamu_assets.odf.dataset import AddData, DataSlice, SetDataSchema
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import SourceState
from kamu_assets.odf.timestamp import Timestamp

SCHEMA = DataSchema(fields=(DataField(name="a", type=Int64Type()),))
EARLY, LATE = Timestamp.parse("2024-01-01T00:00:00Z"), Timestamp.parse("2024-01-02T00:00:00Z")
STATE = SourceState(source_name="default", kind="odf/etag", value="1")
SLICE = DataSlice(
    logical_hash=Multihash.sha3_256(b"l"),
    physical_hash=Multihash.sha3_256(b"p"),
    offset_interval=OffsetInterval(start=10, end=11),
    size=1,
)


def a_chain(
    *, watermark: Timestamp | None = None, state: SourceState | None = None, with_schema: bool = True
) -> ChainState:
    data = AddData(prev_offset=9, new_watermark=watermark, new_source_state=state)
    schema = SetDataSchema(schema_=SCHEMA) if with_schema else None
    return ChainState(schema=schema, last_data=data, source_state=state)


def test_nothing_new_is_no_block() -> None:
    assert plan_events(a_chain(watermark=LATE, state=STATE), NewData(SCHEMA, None, EARLY, STATE)) == ()


def test_the_schema_comes_before_the_first_data() -> None:
    events = plan_events(ChainState(), NewData(SCHEMA, SLICE, EARLY, STATE))

    assert [type(event) for event in events] == [SetDataSchema, AddData]


def test_an_empty_first_push_brings_the_schema_alone() -> None:
    assert plan_events(ChainState(), NewData(SCHEMA)) == (SetDataSchema(schema_=SCHEMA),)


def test_late_rows_do_not_lower_the_watermark() -> None:
    (event,) = plan_events(a_chain(watermark=LATE), NewData(SCHEMA, SLICE, EARLY))

    assert isinstance(event, AddData)
    assert (event.new_watermark, event.prev_offset, event.new_data) == (LATE, 9, SLICE)


def test_a_changed_source_state_alone_is_worth_a_block() -> None:
    (event,) = plan_events(a_chain(watermark=LATE), NewData(SCHEMA, source_state=STATE))

    assert event == AddData(prev_offset=9, new_watermark=LATE, new_source_state=STATE)


def test_a_file_without_anything_leaves_the_source_state_only() -> None:
    assert plan_events(ChainState(), NewData(source_state=STATE)) == (AddData(new_source_state=STATE),)


def test_an_explicit_watermark_repeats_the_source_state() -> None:
    chain = a_chain(watermark=EARLY, state=STATE)

    assert plan_watermark(chain, LATE) == (AddData(prev_offset=9, new_watermark=LATE, new_source_state=STATE),)
    assert plan_watermark(chain, EARLY) == ()
