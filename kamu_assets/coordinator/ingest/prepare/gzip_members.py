"""Gzip: one or more members, one after another, then nothing or zeros (RFC 1952)."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from kamu_assets.coordinator.ingest.errors import BadArchiveError

_GZIP = 16 + zlib.MAX_WBITS
# What follows a member is copied at each end of one: small pieces keep a file of many tiny members cheap.
_READ_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20


def gunzip(file: BinaryIO, *, name: str) -> Iterator[bytes]:
    """The content, in pieces of bounded size; BadArchiveError when it is cut off, damaged or followed by something."""
    data = file.read(_READ_BYTES)
    if not data:
        raise BadArchiveError(f"{name}: the file is empty, not gzip")
    members = 0
    while data:
        member = zlib.decompressobj(_GZIP)
        start = file.tell() - len(data)
        if not data.startswith(b"\x1f"):
            raise BadArchiveError(f"{name}: {_what(members, start)}")
        while not member.eof:
            if not data:
                raise BadArchiveError(f"{name}: the gzip data is cut off: it ends within a member (from byte {start})")
            try:
                yield member.decompress(data, _CHUNK_BYTES)
            except zlib.error as error:
                raise BadArchiveError(f"{name}: {_what(members, start)}: {error}") from error
            data = member.unconsumed_tail or (b"" if member.eof else file.read(_READ_BYTES))
        members += 1
        data = _after_zeros(member.unused_data, file)


def _after_zeros(data: bytes, file: BinaryIO) -> bytes:
    """What follows a member; some tools fill up with zeros."""
    data = data or file.read(_READ_BYTES)
    while data and not (data := data.lstrip(b"\0")):
        data = file.read(_READ_BYTES)
    return data


def _what(members: int, start: int) -> str:
    if members == 0 and start == 0:
        return "not gzip, or damaged"
    return f"what follows gzip member {members} at byte {start} is not gzip, or damaged"
