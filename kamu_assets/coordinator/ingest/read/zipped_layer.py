"""The layer of a zipped shapefile, read as a stream: nothing is unpacked to disk, no name in it becomes a path."""

import codecs
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO, cast

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits

_DIRECTORY_BYTES = 16 << 20
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
# The end of the directory is 22 bytes and a comment; the longer form stands before it.
_TOO_LARGE_FOR_32_BITS = 0xFFFF_FFFF
_TAIL_BYTES = 22 + 65_535 + 76
_FOREIGN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError)
_ENCODINGS = {"65001": "utf-8", "ansi 1252": "cp1252", "system": "utf-8"}


@dataclass(frozen=True, slots=True)
class Layer:
    """The files of a layer, each to be read once from start to end."""

    shapes: "Part"
    records: "Part"
    # What `.cpg` says, if it is there.
    encoding: str | None


class Part:
    """A file inside the archive that gives what was asked for, or tells that it ends too early or is endless."""

    def __init__(self, file: IO[bytes], label: str, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._taken = 0
        self.label = label

    def take(self, size: int, what: str) -> bytes:
        """Exactly so many bytes."""
        found = self.up_to(size)
        if len(found) < size:
            raise BadInputError(f"{self.label}: the file ends in the middle of {what} (byte {self._taken})")
        return found

    def up_to(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        self._taken += size
        if self._taken > self._max_bytes:
            raise TooLargeError(f"{self.label}: unpacked it is longer than {self._max_bytes} bytes")
        try:
            return self._file.read(size)
        except _FOREIGN as error:
            raise BadInputError(f"{self.label}: cannot be unpacked: {error}") from error


@contextmanager
def open_layer(path: Path, sub_path: str | None, *, name: str, limits: IngestLimits) -> Iterator[Layer]:
    """The only layer of an archive, or the only one that matches `sub_path`."""
    _check_directory(path, name)
    try:
        archive = zipfile.ZipFile(path)
    except _FOREIGN as error:
        raise BadInputError(f"{name}: no zip archive: {error}") from error
    with archive:
        names = [entry.filename for entry in archive.infolist() if not _is_clutter(entry.filename)]
        shapes = _choose(names, sub_path, name)
        encoding = _sibling(names, shapes, ".cpg")
        records = _sibling(names, shapes, ".dbf")
        if records is None:
            raise BadInputError(f"{name}: `{shapes}` comes without its attributes: there is no .dbf beside it")
        with _entry(archive, shapes, name, limits) as first, _entry(archive, records, name, limits) as second:
            yield Layer(first, second, _encoding(archive, encoding, name, limits))


def _check_directory(path: Path, name: str) -> None:
    """Before all of it is read: the list of entries may be what is too large."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _TAIL_BYTES, 0))
        tail = file.read()
    end, end_64 = tail.rfind(_END), tail.rfind(_END_64)
    directory = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if end_64 >= 0 and directory == _TOO_LARGE_FOR_32_BITS:
        directory = int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little")
    if directory > _DIRECTORY_BYTES:
        raise TooLargeError(f"{name}: the list of entries is longer than {_DIRECTORY_BYTES} bytes")


def _is_clutter(entry: str) -> bool:
    """Folders, and what macOS puts beside each file."""
    return entry.endswith("/") or entry.startswith("__MACOSX/") or PurePosixPath(entry).name.startswith("._")


def _choose(names: Sequence[str], sub_path: str | None, name: str) -> str:
    layers = [found for found in names if found.lower().endswith(".shp")]
    found = [layer for layer in layers if sub_path is None or layer == sub_path or fnmatchcase(layer, sub_path)]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(layers[:10]) or "none"
    if found:
        raise BadInputError(f"{name}: the archive holds {len(found)} layers; choose one with `subPath`: {listed}")
    wanted = ".shp file" if sub_path is None else f"layer that matches subPath `{sub_path}`"
    raise BadInputError(f"{name}: the archive holds no {wanted}; layers are: {listed}")


def _sibling(names: Sequence[str], shapes: str, ending: str) -> str | None:
    wanted = shapes[: -len(".shp")] + ending
    return next((found for found in names if found[:-4] == wanted[:-4] and found.lower() == wanted.lower()), None)


@contextmanager
def _entry(archive: zipfile.ZipFile, entry: str, name: str, limits: IngestLimits) -> Iterator[Part]:
    label = f"{name}, {entry}"
    if archive.namelist().count(entry) > 1:
        raise BadInputError(f"{label}: the archive holds two entries of this name")
    try:
        file = archive.open(entry)
    except _FOREIGN as error:
        raise BadInputError(f"{label}: cannot be unpacked: {error}") from error
    # Buffered, because small pieces are what will be asked for.
    with file, BufferedReader(cast("RawIOBase", file), 1 << 16) as buffered:
        yield Part(buffered, label, limits.max_unpacked_bytes)


def _encoding(archive: zipfile.ZipFile, entry: str | None, name: str, limits: IngestLimits) -> str | None:
    if entry is None:
        return None
    with _entry(archive, entry, name, limits) as part:
        said = part.up_to(64).decode("ascii", "replace").strip().lower()
        found = _ENCODINGS.get(said, f"cp{said}" if said.isdigit() else said)
        try:
            return codecs.lookup(found).name
        except LookupError as error:
            raise BadInputError(f"{part.label}: unknown encoding `{said}`") from error
