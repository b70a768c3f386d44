"""Metadata blocks in a compressed tarball: how the smart transfer protocol carries them (ODF RFC-008)."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kamu_assets.coordinator.sync.messages import BlocksBatch
from kamu_assets.errors import InvalidError
from kamu_assets.odf.multihash import Multihash

MAX_UNPACKED_BYTES: Final = 128 * 1024 * 1024
"""What the largest frame that upstream sends or reads can sensibly unpack to."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class MalformedBatchError(InvalidError):
    """The batch does not hold the blocks it announces."""


@dataclass(frozen=True, slots=True)
class RawBlock:
    """The bytes of a block as its author made them."""

    hash: Multihash
    data: bytes


def pack_blocks(blocks: Sequence[RawBlock]) -> BlocksBatch:
    """Put blocks, oldest first, into a batch; equal blocks give equal bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for block in blocks:
            entry = tarfile.TarInfo(str(block.hash))
            entry.size = len(block.data)
            entry.mode = 0
            entry.type = tarfile.AREGTYPE
            tar.addfile(entry, io.BytesIO(block.data))
    return BlocksBatch(num_blocks=len(blocks), payload=gzip.compress(plain.getvalue(), mtime=0))


def unpack_blocks(batch: BlocksBatch, *, max_bytes: int = MAX_UNPACKED_BYTES) -> list[RawBlock]:
    """Take the blocks out of a batch, oldest first.

    The sender is not trusted: a bomb, anything but plain files, a name that is not the hash of its content or another
    number of blocks than announced is refused.
    """
    plain = _decompress(batch.payload, max_bytes=max_bytes)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            blocks = [_block(tar, entry) for entry in _first(tar, batch.num_blocks)]
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise MalformedBatchError(f"blocks are not in a tarball: {error}") from error
    if len(blocks) != batch.num_blocks:
        raise MalformedBatchError(f"{batch.num_blocks} blocks were announced, {len(blocks)} are there")
    return blocks


def _decompress(payload: bytes, *, max_bytes: int) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(payload, max_bytes + 1)
    except zlib.error as error:
        raise MalformedBatchError(f"blocks are not compressed with gzip: {error}") from error
    if len(plain) > max_bytes:
        raise MalformedBatchError(f"blocks unpack to more than {max_bytes} bytes")
    if not stream.eof:
        raise MalformedBatchError("the compressed blocks are cut off")
    return plain


def _first(tar: tarfile.TarFile, count: int) -> Iterator[tarfile.TarInfo]:
    for number, entry in enumerate(tar, start=1):
        if number > count:
            raise MalformedBatchError(f"{count} blocks were announced, more are there")
        yield entry


def _block(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> RawBlock:
    # Sparse files and links are "regular" to tarfile in one way or another, and can claim any size.
    if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.sparse is not None:
        raise MalformedBatchError(f"entry {entry.name[:100]!r} is not a plain file")
    content = tar.extractfile(entry)
    data = content.read() if content else b""
    actual = Multihash.sha3_256(data)
    if _named(entry) != actual:
        raise MalformedBatchError(f"block {entry.name[:100]} has another hash: {actual}")
    return RawBlock(actual, data)


def _named(entry: tarfile.TarInfo) -> Multihash:
    try:
        return Multihash.parse(entry.name)
    except InvalidError as error:
        raise MalformedBatchError(f"entry {entry.name[:100]!r} is not named by a hash: {error}") from error
