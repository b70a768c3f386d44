"""Metadata blocks, read straight from their bytes: what the chain's rules and the data checks need, and no more.

ODF: `MetadataBlock`, `MetadataEvent` and the tables below them; slots count fields as the specification does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.support.verifier.flatbuffer import Table, unpack

T = TypeVar("T")

METADATA_BLOCK = 0x400000
ADD_DATA, EXECUTE_TRANSFORM, SEED, SET_POLLING_SOURCE, SET_TRANSFORM, SET_VOCAB = 1, 2, 3, 4, 5, 6
SET_DATA_SCHEMA, ADD_PUSH_SOURCE = 10, 11
# The union MetadataEvent, in the order of the specification.
EVENT_NAMES = [
    *(
        "nothing",
        "AddData",
        "ExecuteTransform",
        "Seed",
        "SetPollingSource",
        "SetTransform",
        "SetVocab",
        "SetAttachments",
    ),
    *("SetInfo", "SetLicense", "SetDataSchema", "AddPushSource", "DisablePushSource", "DisablePollingSource"),
]
DEFAULT_VOCAB = ("offset", "op", "system_time", "event_time")


@dataclass(frozen=True)
class Slice:
    logical_hash: bytes
    physical_hash: bytes
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class Input:
    dataset_id: bytes
    prev_block: bytes | None
    new_block: bytes | None
    prev_offset: int | None
    new_offset: int | None

    @property
    def last_block(self) -> bytes | None:
        return self.new_block or self.prev_block

    @property
    def last_offset(self) -> int | None:
        return self.prev_offset if self.new_offset is None else self.new_offset


@dataclass(frozen=True)
class Data:
    """The common part of AddData and ExecuteTransform."""

    prev_checkpoint: bytes | None
    prev_offset: int | None
    slice: Slice | None
    checkpoint: tuple[bytes, int] | None
    watermark: int | None
    source_state: tuple[str | None, ...] | None = None
    inputs: tuple[Input, ...] = ()

    @property
    def last_offset(self) -> int | None:
        return self.slice.end if self.slice else self.prev_offset


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    optional: bool


@dataclass(frozen=True)
class Block:
    version: int
    system_time: int
    prev: bytes | None
    sequence_number: int
    kind: int
    data: Data | None = None
    dataset_id: bytes | None = None
    derivative: bool = False
    columns: tuple[Column, ...] | None = None
    transform_inputs: tuple[str, ...] = ()
    vocab: tuple[str, ...] = field(default=DEFAULT_VOCAB)


def read_block(raw: bytes) -> Block:
    """Decode the manifest around the block, the block, and its event."""
    manifest = Table.root(raw)
    if manifest.number(0, "q") != METADATA_BLOCK:
        msg = "not a metadata block"
        raise ValueError(msg)
    version = manifest.number(1, "i") or 0
    if version not in {2, 3}:
        msg = f"manifest version {version}"
        raise ValueError(msg)
    block = Table.root(_needed(manifest.bytes(2), "content"))
    event = _needed(block.table(4), "event")
    kind = block.number(3, "B") or 0
    system_time = _needed(_timestamp(block, 0), "system time")
    return Block(version, system_time, block.bytes(1), block.number(2, "Q") or 0, kind, **_event(kind, event))


def _event(kind: int, event: Table) -> dict[str, Any]:
    if not 1 <= kind < len(EVENT_NAMES):
        msg = f"unknown event {kind}"
        raise ValueError(msg)
    reader = _READERS.get(kind)
    return reader(event) if reader else {}


def _seed(event: Table) -> dict[str, Any]:
    return {"dataset_id": _needed(event.bytes(0), "dataset id"), "derivative": bool(event.number(1, "i"))}


def _vocab(event: Table) -> dict[str, Any]:
    return {"vocab": tuple(event.string(slot) or name for slot, name in enumerate(DEFAULT_VOCAB))}


def _schema(event: Table) -> dict[str, Any]:
    schema = event.table(1)
    return {"columns": None if schema is None else tuple(map(_column, schema.tables(0) or []))}


def _add_data(event: Table) -> Data:
    state = event.table(5)
    return Data(
        prev_checkpoint=event.bytes(0),
        prev_offset=event.number(1, "Q"),
        slice=_slice(event.table(2)),
        checkpoint=_checkpoint(event.table(3)),
        watermark=_timestamp(event, 4),
        source_state=None if state is None else tuple(state.string(slot) for slot in range(3)),
    )


def _execute_transform(event: Table) -> Data:
    return Data(
        prev_checkpoint=event.bytes(1),
        prev_offset=event.number(2, "Q"),
        slice=_slice(event.table(3)),
        checkpoint=_checkpoint(event.table(4)),
        watermark=_timestamp(event, 5),
        inputs=tuple(map(_input, event.tables(0) or [])),
    )


def _input(table: Table) -> Input:
    return Input(
        dataset_id=_needed(table.bytes(0), "input id"),
        prev_block=table.bytes(1),
        new_block=table.bytes(2),
        prev_offset=table.number(3, "Q"),
        new_offset=table.number(4, "Q"),
    )


def _slice(table: Table | None) -> Slice | None:
    if table is None:
        return None
    interval = _needed(table.table(2), "offset interval")
    return Slice(
        logical_hash=_needed(table.bytes(0), "logical hash"),
        physical_hash=_needed(table.bytes(1), "physical hash"),
        start=interval.number(0, "Q") or 0,
        end=interval.number(1, "Q") or 0,
        size=table.number(3, "Q") or 0,
    )


def _checkpoint(table: Table | None) -> tuple[bytes, int] | None:
    return None if table is None else (_needed(table.bytes(0), "checkpoint hash"), table.number(1, "Q") or 0)


# The union DataType, in the order of the specification; an Option (20) says so about the type inside it.
TYPE_NAMES = [
    *("nothing", "Binary", "Bool", "Date", "Decimal", "Duration", "Float16", "Float32", "Float64"),
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    *("List", "Map", "Null", "Option", "Struct", "Time", "Timestamp", "String"),
]


def _column(table: Table) -> Column:
    kind, value = TYPE_NAMES[table.number(1, "B") or 0], _needed(table.table(2), "type")
    optional = kind == "Option"
    if optional:
        kind = TYPE_NAMES[value.number(0, "B") or 0]
    return Column(_text(table, 0), kind, optional)


def _timestamp(table: Table, slot: int) -> int | None:
    """Nanoseconds since 1970 of a year, a day of the year, a second of the day and a fraction."""
    raw = table.struct_bytes(slot, 16)
    if raw is None:
        return None
    past = unpack("<i", raw, 0) - 1
    new_year = 365 * past + past // 4 - past // 100 + past // 400 - 719_162
    seconds = (new_year + unpack("<H", raw, 4) - 1) * 86_400 + unpack("<I", raw, 8)
    return seconds * 1_000_000_000 + unpack("<I", raw, 12)


def _text(table: Table, slot: int) -> str:
    return _needed(table.string(slot), f"text in slot {slot}")


def _needed(value: T | None, what: str) -> T:
    if value is None:
        msg = f"{what} is missing"
        raise ValueError(msg)
    return value


# Other events mean nothing to the checks.
_READERS: dict[int, Callable[[Table], dict[str, Any]]] = {
    ADD_DATA: lambda event: {"data": _add_data(event)},
    EXECUTE_TRANSFORM: lambda event: {"data": _execute_transform(event)},
    SEED: _seed,
    SET_TRANSFORM: lambda event: {"transform_inputs": tuple(_text(item, 0) for item in event.tables(0) or [])},
    SET_VOCAB: _vocab,
    SET_DATA_SCHEMA: _schema,
}
