"""Archives as honest and as hostile programs make them."""

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping

LINK_MODE = 0o120777


def a_zip(entries: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries.items():
            # `writestr` keeps names as they are, also such as lead elsewhere.
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return file.getvalue()


class _Pipe(io.BytesIO):
    """Something that cannot be gone back in: sizes follow the data."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def a_streamed_zip(entries: Mapping[str, bytes]) -> bytes:
    """As programs write it that do not know sizes beforehand."""
    file = _Pipe()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            with archive.open(zipfile.ZipInfo(name), "w") as entry:
                entry.write(content)
    return file.getvalue()


def a_zip_for_large_files(entries: Mapping[str, bytes]) -> bytes:
    """Sizes in 64 bits, though they would fit into 32."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(content)
    return file.getvalue()


def a_zip_with_twins(name: str) -> bytes:
    """Two entries of one name."""
    other = name[:-1] + ("x" if name[-1] != "x" else "y")
    return a_zip({name: b"1\n", other: b"2\n"}).replace(other.encode(), name.encode())


def a_zip_with_two_names(inside: str, directory: str) -> bytes:
    """An entry that calls itself otherwise than the directory does."""
    data = a_zip({inside: b"1\n"})
    place = data.rindex(inside.encode())
    return data[:place] + directory.encode() + data[place + len(inside) :]


def a_zip_with_a_link(name: str, target: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, LINK_MODE << 16
        archive.writestr(info, target)
    return file.getvalue()


def a_zip_of_many(count: int) -> bytes:
    """A directory of so many empty entries, all the same."""
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0) + b"a"
    central = struct.pack("<4s4B4H3L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    size, end = len(central) * count, len(local) + len(central) * count
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, len(local))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    small = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + central * count + large + locator + small


def a_gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def zeros_gzip(mib: int) -> bytes:
    """So many MiB of zeros."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        for _ in range(mib):
            packed.write(bytes(1 << 20))
    return file.getvalue()
