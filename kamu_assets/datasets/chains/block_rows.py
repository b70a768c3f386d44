"""Between blocks, their index entries and the columns of the block index."""

from typing import Any

from sqlalchemy import Row

from kamu_assets.datasets.model import IndexedBlock, IndexedData
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import (
    AddData,
    AddPushSource,
    Checkpoint,
    DataSlice,
    DisablePushSource,
    ExecuteTransform,
    MetadataBlock,
    MetadataEvent,
)
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.timestamp import Timestamp

DATA_KINDS = (EventKind.ADD_DATA, EventKind.EXECUTE_TRANSFORM)


def index_block(
    name: Multihash, block: MetadataBlock, *, kind: EventKind, size: int, previous_watermark: Timestamp | None
) -> IndexedBlock:
    """The entry of a block that follows a chain with this watermark."""
    return IndexedBlock(
        sequence_number=block.sequence_number,
        block_hash=name,
        event_kind=kind,
        subject=_subject(block.event),
        system_time=block.system_time,
        size=size,
        data=_data(block.event, previous_watermark),
    )


def _subject(event: MetadataEvent) -> str | None:
    match event:
        case AddPushSource() | DisablePushSource():
            return event.source_name
        case AddData():
            return event.new_source_state.source_name if event.new_source_state else None
        case _:
            return None


def _data(event: MetadataEvent, previous_watermark: Timestamp | None) -> IndexedData | None:
    if not isinstance(event, AddData | ExecuteTransform):
        return None
    return IndexedData(event.new_data, event.new_checkpoint, previous_watermark, event.new_watermark)


def to_values(block: IndexedBlock) -> dict[str, object]:
    data = block.data or IndexedData()
    part = data.data_slice
    checkpoint = data.checkpoint
    return {
        "sequence_number": block.sequence_number,
        "block_hash": block.block_hash,
        "event_kind": int(block.event_kind),
        "subject": block.subject,
        "system_time": block.system_time,
        "size": block.size,
        "data_hash": part and part.physical_hash,
        "data_logical_hash": part and part.logical_hash,
        "data_size": part and part.size,
        "first_offset": part and part.offset_interval.start,
        "last_offset": part and part.offset_interval.end,
        "checkpoint_hash": checkpoint and checkpoint.physical_hash,
        "checkpoint_size": checkpoint and checkpoint.size,
        "previous_watermark": data.previous_watermark,
        "watermark": data.watermark,
    }


def from_row(row: Row[Any]) -> IndexedBlock:
    kind = EventKind(row.event_kind)
    return IndexedBlock(
        sequence_number=row.sequence_number,
        block_hash=row.block_hash,
        event_kind=kind,
        subject=row.subject,
        system_time=row.system_time,
        size=row.size,
        data=_data_of(row) if kind in DATA_KINDS else None,
    )


def _data_of(row: Row[Any]) -> IndexedData:
    data_slice = checkpoint = None
    if row.data_hash is not None:
        data_slice = DataSlice(
            logical_hash=row.data_logical_hash,
            physical_hash=row.data_hash,
            offset_interval=OffsetInterval(start=row.first_offset, end=row.last_offset),
            size=row.data_size,
        )
    if row.checkpoint_hash is not None:
        checkpoint = Checkpoint(physical_hash=row.checkpoint_hash, size=row.checkpoint_size)
    return IndexedData(data_slice, checkpoint, row.previous_watermark, row.watermark)
