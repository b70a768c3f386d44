"""The directory of a zip archive, and what each entry says about itself a second time (PKWARE APPNOTE 6.3, 4.3).

Programs that unpack disagree about archives that contradict themselves; here such an archive is refused.
"""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kamu_assets.coordinator.ingest.errors import BadArchiveError, TooLargeError

_END = struct.Struct("<4s4H2LH")
_END_64_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_NONE_16, _NONE_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_FIELD = 1
_SIZES_FOLLOW, _UTF8 = 0x0008, 0x0800
_UNIX = 3


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry as the directory describes it."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    mode: int

    @property
    def name(self) -> str:
        """Its name as text; names of old archives are in the code page of DOS."""
        return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437", "replace")

    @property
    def shown(self) -> str:
        """The name for messages."""
        return repr(self.name[:200])

    @property
    def is_folder(self) -> bool:
        return self.raw_name.endswith(b"/")

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


@dataclass(frozen=True, slots=True)
class _Directory:
    count: int
    size: int
    start: int
    # Archives may have something in front, such as a program; offsets do not count it.
    shift: int


def entries(file: BinaryIO, *, name: str, max_entries: int) -> Iterator[ZipEntry]:
    """All entries in the order of the directory, one at a time."""
    directory = _find_directory(file, name=name)
    if directory.count > max_entries:
        raise TooLargeError(
            f"{name}: has {directory.count} entries, more than {max_entries} (setting ingest.max_archive_entries)"
        )
    file.seek(directory.start)
    for _ in range(directory.count):
        yield _entry(file, directory, name=name)
    if file.tell() != directory.start + directory.size:
        raise BadArchiveError(f"{name}: the directory of the zip archive is not as long as it says")


def local_data_start(file: BinaryIO, entry: ZipEntry, *, name: str) -> int:
    """Where the packed bytes begin; the entry must say of itself what the directory says."""
    file.seek(entry.offset)
    mark, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(_read(file, _LOCAL.size))
    raw_name, extra = _read(file, name_size), _read(file, extra_size)
    differing = []
    if mark != b"PK\3\4":
        raise BadArchiveError(f"{name}: is not where the directory of the archive says")
    if raw_name != entry.raw_name:
        differing.append("name")
    if (method, flags & 1) != (entry.method, entry.flags & 1):
        differing.append("way of packing")
    if not flags & _SIZES_FOLLOW:
        size, packed, _ = _wide(extra, size, packed, 0, name=name)
        if (crc, packed, size) != (entry.crc, entry.packed, entry.size):
            differing.append("size or checksum")
    if differing:
        raise BadArchiveError(f"{name}: the entry and the directory differ in its {' and '.join(differing)}")
    return entry.offset + _LOCAL.size + len(raw_name) + len(extra)


def _find_directory(file: BinaryIO, *, name: str) -> _Directory:
    length = file.seek(0, 2)
    tail_start = max(0, length - _END.size - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    place = tail.rfind(b"PK\5\6")
    if place < 0:
        raise BadArchiveError(f"{name}: not a zip archive, or cut off: there is no directory at its end")
    end = _END.unpack_from(tail, place)
    _, disk, _, _, count, size, offset, comment = end
    where = tail_start + place
    if where + _END.size + comment != length:
        raise BadArchiveError(f"{name}: something follows the end of the zip archive, or its end is cut off")
    if disk not in (0, _NONE_16):
        raise BadArchiveError(f"{name}: a part of a split zip archive")
    if _NONE_16 in (count, disk) or _NONE_32 in (size, offset):
        count, size, offset, where = _find_directory_64(file, where, name=name)
    shift = where - size - offset
    if shift < 0:
        raise BadArchiveError(f"{name}: the directory of the zip archive is not where it says")
    return _Directory(count, size, where - size, shift)


def _find_directory_64(file: BinaryIO, where: int, *, name: str) -> tuple[int, int, int, int]:
    file.seek(max(0, where - _END_64_LOCATOR.size))
    mark, _, offset, _ = _END_64_LOCATOR.unpack(_read(file, _END_64_LOCATOR.size))
    place = where - _END_64_LOCATOR.size - _END_64.size
    if mark != b"PK\6\7" or place < offset:
        raise BadArchiveError(f"{name}: the directory of the zip archive (zip64) is not where it says")
    file.seek(place)
    found = _END_64.unpack(_read(file, _END_64.size))
    if found[0] != b"PK\6\6":
        raise BadArchiveError(f"{name}: the directory of the zip archive (zip64) is not where it says")
    return found[7], found[8], found[9], place


def _entry(file: BinaryIO, directory: _Directory, *, name: str) -> ZipEntry:
    fields = _CENTRAL.unpack(_read(file, _CENTRAL.size))
    mark, _, system, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment, *_ = fields
    if mark != b"PK\1\2":
        raise BadArchiveError(f"{name}: the directory of the zip archive is damaged")
    raw_name, extra = _read(file, name_size), _read(file, extra_size)
    _read(file, comment)
    size, packed, offset = _wide(extra, size, packed, fields[-1], name=name)
    mode = fields[-2] >> 16 if system == _UNIX else 0
    return ZipEntry(raw_name, flags, method, crc, packed, size, offset + directory.shift, mode)


def _wide(extra: bytes, size: int, packed: int, offset: int, *, name: str) -> tuple[int, int, int]:
    """Numbers that do not fit into 32 bits are kept in a field of their own."""
    numbers = [size, packed, offset]
    wide = [place for place, number in enumerate(numbers) if number == _NONE_32]
    if not wide:
        return size, packed, offset
    while len(extra) >= 4:  # noqa: PLR2004 - id and length of a field
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_FIELD:
            for place, value in zip(wide, struct.iter_unpack("<Q", extra[4 : 4 + length - length % 8]), strict=False):
                numbers[place] = value[0]
            return numbers[0], numbers[1], numbers[2]
        extra = extra[4 + length :]
    raise BadArchiveError(f"{name}: large sizes are announced, but not given")


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise EOFError
    return data
