"""Metadata for tests: valid by default, so that a test spells out only what it is about."""

from __future__ import annotations

from typing import Any

from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataField, DataSchema, Int32Type, Int64Type, OffsetInterval, TimestampType
from kamu_assets.odf.dataset import (
    AddData,
    DataSlice,
    MetadataBlock,
    MetadataEvent,
    Seed,
    SetDataSchema,
    SetInfo,
    SetTransform,
)
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.serde.flatbuffers import block_hash, encode_block
from kamu_assets.odf.timestamp import Timestamp

START = Timestamp.parse("2024-01-01T00:00:00Z")


def a_dataset_id(name: str = "dataset") -> DatasetID:
    """The same for the same name."""
    return DatasetID.seeded(name.encode())


def a_hash(content: str = "content") -> Multihash:
    """Physical hash of some content."""
    return Multihash.sha3_256(content.encode())


def a_logical_hash(content: str = "content") -> Multihash:
    return Multihash(Multicodec.ARROW0_SHA3_256, a_hash(content).digest)


def a_seed(*, name: str = "dataset", kind: DatasetKind = DatasetKind.ROOT) -> Seed:
    return Seed(dataset_id=a_dataset_id(name), dataset_kind=kind)


def a_schema(*fields: DataField) -> SetDataSchema:
    """The system columns, then the given ones."""
    system = (
        DataField(name="offset", type=Int64Type()),
        DataField(name="op", type=Int32Type()),
        DataField(name="system_time", type=TimestampType()),
        DataField(name="event_time", type=TimestampType()),
    )
    return SetDataSchema(schema_=DataSchema(fields=(*system, *fields)))


def a_slice(*, start: int = 0, records: int = 10) -> DataSlice:
    return DataSlice(
        logical_hash=a_logical_hash(f"{start}"),
        physical_hash=a_hash(f"{start}"),
        offset_interval=OffsetInterval(start=start, end=start + records - 1),
        size=1_000,
    )


def some_data(after: ChainState | None = None, **fields: Any) -> AddData:
    """Ten records that follow `after`."""
    start = after.next_offset if after else 0
    defaults = {
        "prev_offset": start - 1 if start else None,
        "new_data": a_slice(start=start),
        "new_watermark": (after.watermark if after else None) or START,
    }
    return AddData(**(defaults | fields))


def a_block(event: MetadataEvent | None = None, *, after: ChainState | None = None, **fields: Any) -> MetadataBlock:
    """A block that may follow `after`, except for what the test changes."""
    chain = after or ChainState.empty()
    defaults = {
        "system_time": chain.system_time or START,
        "prev_block_hash": chain.head,
        "sequence_number": chain.sequence_number + 1,
        "event": event or SetInfo(description=f"block {chain.sequence_number + 1}"),
    }
    return MetadataBlock(**(defaults | fields))


def extended(chain: ChainState, *events: MetadataEvent) -> ChainState:
    """The chain with one more block for each event; rules are not checked."""
    for event in events:
        block = a_block(event, after=chain)
        chain = chain.extend(block_hash(encode_block(block)), block)
    return chain


def a_chain(*events: MetadataEvent, length: int | None = None, kind: DatasetKind = DatasetKind.ROOT) -> ChainState:
    """A Seed and the events; up to `length` blocks where it is given."""
    chain = extended(ChainState.empty(), a_seed(kind=kind), *events)
    while length is not None and chain.sequence_number + 1 < length:
        chain = extended(chain, SetInfo(description=f"block {chain.sequence_number + 1}"))
    return chain


def a_transform(*inputs: DatasetID) -> SetTransform:
    """A transform that reads these datasets."""
    return SetTransform(
        inputs=tuple(TransformInput(dataset_ref=str(id_), alias=f"i{n}") for n, id_ in enumerate(inputs)),
        transform=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),)),
    )
