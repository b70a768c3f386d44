"""The binary form of metadata blocks: a FlatBuffers manifest around a FlatBuffers block.

The hash of a block covers these bytes, so blocks are kept, served and verified as they came, never re-encoded.
"""

import struct

from kamu_assets.errors import InvalidError
from kamu_assets.odf.dataset import MetadataBlock
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.serde.builder import Builder
from kamu_assets.odf.serde.header import (
    READABLE_VERSIONS,
    BlockHeader,
    EventKind,
    UnsupportedVersionError,
    decode_header,
    open_manifest,
)
from kamu_assets.odf.serde.layout import BLOCK
from kamu_assets.odf.serde.reader import MalformedBlockError, Reader
from kamu_assets.odf.serde.wire import UnencodableError, Writer

__all__ = [
    "CURRENT_VERSION",
    "BlockHeader",
    "EventKind",
    "MalformedBlockError",
    "UnencodableError",
    "UnsupportedVersionError",
    "block_hash",
    "decode_block",
    "decode_header",
    "decode_manifest",
    "encode_block",
]

CURRENT_VERSION = 3
# Version 2 was written with moments at any position: a mistake of its time that hashes have made permanent.
_TIMESTAMP_ALIGNMENT = {2: 1, 3: 4}
_ALIGNMENT_32, _ALIGNMENT_64 = 4, 8


def encode_block(block: MetadataBlock, *, version: int = CURRENT_VERSION) -> bytes:
    """The bytes of a block, the same ones that kamu writes."""
    if version not in READABLE_VERSIONS:
        raise UnsupportedVersionError(version)
    writer = Writer(timestamp_alignment=_TIMESTAMP_ALIGNMENT[version])
    try:
        root = BLOCK.prepare(writer, block)
    except UnicodeEncodeError as error:
        raise UnencodableError("a text with half a surrogate pair is not Unicode") from error
    return _encode_manifest(writer.builder.finish(root), version)


def _encode_manifest(content: bytes, version: int) -> bytes:
    builder = Builder()
    reference = builder.byte_vector(content)
    builder.start_table()
    builder.inline(0, struct.pack("<q", Multicodec.ODF_METADATA_BLOCK), _ALIGNMENT_64)
    builder.inline(1, struct.pack("<i", version), _ALIGNMENT_32)
    builder.reference(2, reference)
    return builder.finish(builder.end_table())


def decode_block(data: bytes) -> MetadataBlock:
    """Read a block of any version we know."""
    return decode_manifest(data)[1]


def decode_manifest(data: bytes) -> tuple[int, MetadataBlock]:
    """Read a block, and the version of the format it is written in."""
    try:
        version, content = open_manifest(bytes(data))
        block = BLOCK.read_at(Reader(content), 0)
    except (MalformedBlockError, UnsupportedVersionError):
        raise
    except (struct.error, ValueError, IndexError, RecursionError, InvalidError) as error:
        raise MalformedBlockError(str(error)) from error
    if not isinstance(block, MetadataBlock):
        raise TypeError(type(block))
    return version, block


def block_hash(data: bytes) -> Multihash:
    """The hash by which a block is known."""
    return Multihash.sha3_256(data)
