"""Zip: one entry, by its name or the first one, read as a stream (PKWARE APPNOTE 6.3)."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from kamu_assets.coordinator.ingest.errors import BadArchiveError
from kamu_assets.coordinator.ingest.prepare.zip_directory import ZipEntry, entries, local_data_start

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040
_READ_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 20
_SHOWN = 5


def unzip(file: BinaryIO, sub_path: str | None, *, name: str, max_entries: int) -> tuple[str, Iterator[bytes]]:
    """The name of the entry, made printable, and its content. Names are never used as paths."""
    try:
        entry = _choose(entries(file, name=name, max_entries=max_entries), sub_path, name=name)
        shown = f"{name}, entry {entry.shown}"
        _check(entry, shown)
        start = local_data_start(file, entry, name=shown)
    except (struct.error, EOFError) as error:
        raise BadArchiveError(f"{name}: the zip archive is cut off or damaged") from error
    return entry.shown, _content(file, start, entry, name=shown)


def _choose(found: Iterator[ZipEntry], sub_path: str | None, *, name: str) -> ZipEntry:
    wanted: ZipEntry | None = None
    others: list[str] = []
    for entry in found:
        if wanted is not None and entry.name == wanted.name:
            raise BadArchiveError(f"{name}: two entries are called {entry.shown}: which one is meant is unclear")
        if wanted is None and _is_wanted(entry, sub_path):
            wanted = entry
        elif len(others) <= _SHOWN:
            others.append(entry.shown)
    if wanted is None:
        there = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        what = "no file" if sub_path is None else f"no entry {sub_path!r}"
        raise BadArchiveError(f"{name}: the zip archive has {what}; it has {there or 'no entries'}")
    return wanted


def _is_wanted(entry: ZipEntry, sub_path: str | None) -> bool:
    return not entry.is_folder if sub_path is None else entry.name == sub_path


def _check(entry: ZipEntry, shown: str) -> None:
    if entry.is_link:
        raise BadArchiveError(f"{shown} is a symbolic link, not a file")
    if entry.is_folder:
        raise BadArchiveError(f"{shown} is a folder, not a file")
    if entry.flags & _ENCRYPTED:
        raise BadArchiveError(f"{shown} is encrypted")
    if entry.method not in (_STORED, _DEFLATED):
        raise BadArchiveError(f"{shown} is packed by method {entry.method}; supported are stored (0) and deflate (8)")
    if entry.method == _STORED and entry.packed != entry.size:
        raise BadArchiveError(f"{shown} is stored as it is, but has two sizes: {entry.packed} and {entry.size}")


def _content(file: BinaryIO, start: int, entry: ZipEntry, *, name: str) -> Iterator[bytes]:
    check, size = 0, 0
    file.seek(start)
    packed = _packed(file, entry.packed, name=name)
    for chunk in packed if entry.method == _STORED else _inflate(packed, name=name):
        check = zlib.crc32(chunk, check)
        size += len(chunk)
        if size > entry.size:
            raise BadArchiveError(f"{name}: is larger than the {entry.size} bytes that the archive says")
        yield chunk
    if size != entry.size or check != entry.crc:
        raise BadArchiveError(f"{name}: damaged: size or checksum are not what the archive says")


def _packed(file: BinaryIO, length: int, *, name: str) -> Iterator[bytes]:
    while length > 0:
        chunk = file.read(min(length, _READ_BYTES))
        if not chunk:
            raise BadArchiveError(f"{name}: the zip archive is cut off")
        length -= len(chunk)
        yield chunk


def _inflate(packed: Iterator[bytes], *, name: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for data in packed:
        rest = data
        while rest:
            if stream.eof:
                raise BadArchiveError(f"{name}: something follows the packed data")
            yield _piece(stream, rest, name=name)
            rest = stream.unconsumed_tail or stream.unused_data
    while not stream.eof:
        # Input may all be taken in while output is still held back.
        chunk = _piece(stream, b"", name=name)
        if not chunk and not stream.eof:
            raise BadArchiveError(f"{name}: the packed data is cut off")
        yield chunk


def _piece(stream: "zlib._Decompress", data: bytes, *, name: str) -> bytes:
    try:
        return stream.decompress(data, _CHUNK_BYTES)
    except zlib.error as error:
        raise BadArchiveError(f"{name}: damaged: {error}") from error
