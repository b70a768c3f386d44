"""Rebuilds `odf.tar.xz` from a reference folder: `python -m tests.support.reference.pack <folder>`.

The same folder gives the same tar file, to the byte.
"""

import io
import lzma
import sys
import tarfile
from pathlib import Path

PACKED = ("odf/vectors", "odf/recorded")
ARCHIVE = Path(__file__).with_name("odf.tar.xz")


def pack(source: Path, archive: Path) -> None:
    archive.write_bytes(lzma.compress(as_tar(source), preset=9 | lzma.PRESET_EXTREME))


def as_tar(source: Path) -> bytes:
    files = [path for folder in PACKED for path in (source / folder).rglob("*") if path.is_file()]
    # Files of one kind compress best side by side; the path settles the rest.
    files.sort(key=lambda path: (path.parent.name, path.suffix, path.name, path.as_posix()))
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in files:
            _add(tar, path, path.relative_to(source).as_posix())
    return plain.getvalue()


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    entry.mode = 0o644
    with path.open("rb") as content:
        tar.addfile(entry, content)


if __name__ == "__main__":
    pack(Path(sys.argv[1]), ARCHIVE)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size} bytes")
