"""The part of a block that a walk along the chain needs, read without decoding the event."""

import struct
from enum import IntEnum
from typing import NamedTuple

from kamu_assets.errors import InvalidError
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.serde.reader import MalformedBlockError
from kamu_assets.odf.serde.wire import read_moment
from kamu_assets.odf.timestamp import Timestamp

READABLE_VERSIONS = frozenset({2, 3})

_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_I64 = struct.Struct("<q")
_U64 = struct.Struct("<Q")
_MANIFEST_VTABLE = struct.Struct("<HHHHH")
_BLOCK_VTABLE = struct.Struct("<HHHHHHH")


class UnsupportedVersionError(InvalidError):
    """The block is written in a version of the format that we do not read."""

    def __init__(self, version: int) -> None:
        age = "obsolete" if version == 1 else "not supported"
        super().__init__(f"metadata blocks of version {version} are {age}, we read 2 and 3")
        self.version = version


class EventKind(IntEnum):
    """Number of an event in the union of the binary form."""

    ADD_DATA = 1
    EXECUTE_TRANSFORM = 2
    SEED = 3
    SET_POLLING_SOURCE = 4
    SET_TRANSFORM = 5
    SET_VOCAB = 6
    SET_ATTACHMENTS = 7
    SET_INFO = 8
    SET_LICENSE = 9
    SET_DATA_SCHEMA = 10
    ADD_PUSH_SOURCE = 11
    DISABLE_PUSH_SOURCE = 12
    DISABLE_POLLING_SOURCE = 13


_EVENT_KINDS = {int(kind): kind for kind in EventKind}


class BlockHeader(NamedTuple):
    """Everything about a block but what its event says."""

    version: int
    system_time: Timestamp
    prev_block_hash: Multihash | None
    sequence_number: int
    event_kind: EventKind


def open_manifest(data: bytes) -> tuple[int, bytes]:
    """Version and content of the outer buffer."""
    table = int(_U32.unpack_from(data, 0)[0])
    vtable = table - int(_I32.unpack_from(data, table)[0])
    if vtable < 0:
        raise MalformedBlockError("a vtable lies before the buffer")
    size, _, kind, version, content = _MANIFEST_VTABLE.unpack_from(data, vtable)
    if size < _MANIFEST_VTABLE.size or not kind or not version or not content:
        raise MalformedBlockError("the manifest is incomplete")
    if _I64.unpack_from(data, table + kind)[0] != Multicodec.ODF_METADATA_BLOCK:
        raise MalformedBlockError("the manifest is of another kind")
    number = int(_I32.unpack_from(data, table + version)[0])
    if number not in READABLE_VERSIONS:
        raise UnsupportedVersionError(number)
    start = table + content
    start += int(_U32.unpack_from(data, start)[0])
    end = start + 4 + int(_U32.unpack_from(data, start)[0])
    if end > len(data):
        raise MalformedBlockError("the content ends after the buffer")
    return number, data[start + 4 : end]


def decode_header(data: bytes) -> BlockHeader:
    """Read what precedes the event."""
    try:
        return _decode_header(bytes(data))
    except struct.error as error:
        raise MalformedBlockError(str(error)) from error


def _decode_header(data: bytes) -> BlockHeader:
    version, block = open_manifest(data)
    table = _U32.unpack_from(block, 0)[0]
    vtable = table - _I32.unpack_from(block, table)[0]
    if vtable < 0:
        raise MalformedBlockError("a vtable lies before the buffer")
    size, _, system_time, prev_hash, sequence_number, kind, event = _BLOCK_VTABLE.unpack_from(block, vtable)
    if size < _BLOCK_VTABLE.size or not system_time or not kind or not event or table + kind >= len(block):
        raise MalformedBlockError("the block is incomplete")
    event_kind = _EVENT_KINDS.get(block[table + kind])
    if event_kind is None:
        raise MalformedBlockError("the block holds an unknown event")
    return BlockHeader(
        version,
        read_moment(block, table + system_time),
        _read_hash(block, table + prev_hash) if prev_hash else None,
        _U64.unpack_from(block, table + sequence_number)[0] if sequence_number else 0,
        event_kind,
    )


def _read_hash(block: bytes, at: int) -> Multihash:
    start = at + int(_U32.unpack_from(block, at)[0])
    end = start + 4 + int(_U32.unpack_from(block, start)[0])
    if end > len(block):
        raise MalformedBlockError("a hash ends after the buffer")
    try:
        return Multihash.from_bytes(block[start + 4 : end])
    except InvalidError as error:
        raise MalformedBlockError(str(error)) from error
