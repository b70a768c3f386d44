"""The packed reference material is what it was packed from, and reaches every process whole."""

import hashlib
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import reference as material
from tests.support.reference.pack import as_tar

FORBIDDEN = {"schema.gql", "openapi-mt.json", "opendatafabric.fbs"}
MEGABYTE = 1_000_000


def _digests(folder: Path) -> dict[str, str]:
    files = [path for packed in material.NEEDED for path in (folder / packed).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_packed_copy_is_the_reference(reference: Path) -> None:
    packed = _digests(material.unpacked())

    assert len(packed) > 3000
    assert packed == _digests(reference)


def test_packing_again_gives_the_same_tar_file() -> None:
    assert as_tar(material.unpacked()) == lzma.decompress(material.ARCHIVE.read_bytes())


def test_the_pack_is_small_and_holds_nothing_it_must_not() -> None:
    names = {Path(name).name for name in _digests(material.unpacked())}

    assert material.ARCHIVE.stat().st_size < 3 * MEGABYTE
    assert not names & FORBIDDEN


def test_without_the_folder_the_packed_copy_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAMU_REFERENCE_DIR", str(tmp_path))

    assert material.reference_folder() == material.unpacked()


def test_processes_that_unpack_at_once_share_one_copy(tmp_path: Path) -> None:
    program = (
        f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}\n"
        "from tests.support.reference import unpacked\n"
        "print(len(list(unpacked().rglob('*'))))\n"
    )

    command = [sys.executable, "-c", program]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [process.communicate()[0] for process in started]

    assert len(set(counts)) == 1
    assert int(counts[0]) > 3000
    assert len(list(tmp_path.iterdir())) == 1
