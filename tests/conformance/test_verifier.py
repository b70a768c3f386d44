"""The independent verifier accepts what kamu wrote and notices every way to damage it."""

import ast
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support import verifier
from tests.support.verifier.__main__ import main
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError
from tests.support.verifier.logical_hash import logical_hash
from tests.support.verifier.multiformats import from_text, sha3, text
from tests.support.verifier.recordings import datasets, verify_recorded


def test_every_recorded_dataset_is_sound(reference: Path) -> None:
    found = list(datasets(reference / "odf/recorded"))

    for dataset in found:
        verify_recorded(dataset)

    assert len(found) > 300


def test_its_logical_hash_is_kamus(reference: Path) -> None:
    cases = json.loads((reference / "odf/vectors/logical_hash.json").read_text())["cases"]

    for case in cases:
        stream = pa.ipc.open_stream(base64.b64decode(case["arrow_ipc_stream_base64"]))
        if "logical_hash" in case["expected"]:
            assert text(logical_hash(stream.schema, list(stream))) == case["expected"]["logical_hash"], case["id"]
        else:
            with pytest.raises(ValueError, match="no logical hash"):
                logical_hash(stream.schema, list(stream))


def test_it_shares_no_code_with_the_node() -> None:
    sources = list(Path(verifier.__file__).parent.glob("*.py"))

    imported = {name for source in sources for name in _imports(source)}

    assert len(sources) > 5
    assert not [name for name in imported if name.startswith("kamu_")]
    assert {name for name in imported if name.startswith("tests.")} == {
        name for name in imported if name.startswith("tests.support.verifier")
    }


def test_it_loads_nothing_of_the_node(reference: Path) -> None:
    program = (
        "import sys\nfrom tests.support.verifier.__main__ import main\n"
        f"assert main({[str(reference / 'odf/recorded/ledger-basic/dataset')]!r}) == 0\n"
        "assert not [name for name in sys.modules if name.startswith('kamu_')], sys.modules\n"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def dataset(reference: Path, tmp_path: Path) -> Path:
    """A copy of a recorded derivative with two slices and two checkpoints."""
    return _copy(reference / "odf/recorded/derivative-tampering-base/hot", tmp_path / "hot")


def test_the_copy_is_sound_before_it_is_damaged(dataset: Path) -> None:
    assert verify(dataset).slices == 2


def test_flipping_any_byte_of_an_object_is_noticed(dataset: Path) -> None:
    objects = [path for folder in ("blocks", "data", "checkpoints") for path in (dataset / folder).iterdir()]

    for path in objects:
        original = path.read_bytes()
        for at in range(0, len(original), max(1, len(original) // 16)):
            path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
            with pytest.raises(FaultError, match=path.name):
                verify(dataset)
        path.write_bytes(original)

    assert len(objects) > 6


def test_removing_any_object_is_noticed(dataset: Path) -> None:
    for path in [path for folder in ("blocks", "data", "checkpoints") for path in (dataset / folder).iterdir()]:
        original = path.read_bytes()
        path.unlink()
        with pytest.raises(FaultError, match=f"{path.name}: missing"):
            verify(dataset)
        path.write_bytes(original)


def test_exchanging_two_blocks_is_noticed(dataset: Path) -> None:
    one, other = sorted((dataset / "blocks").iterdir())[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)

    with pytest.raises(FaultError, match="hashes to"):
        verify(dataset)


@pytest.mark.parametrize("head", ["", "f1620", "z6Mk", "f1620" + "00" * 32, "\n"])
def test_a_wrong_head_is_noticed(dataset: Path, head: str) -> None:
    (dataset / "refs/head").write_text(head)

    with pytest.raises(FaultError):
        verify(dataset)


def test_a_folder_named_after_another_dataset_is_noticed(dataset: Path) -> None:
    renamed = dataset.rename(dataset.with_name("fed01" + "00" * 32))

    with pytest.raises(FaultError, match="another dataset id"):
        verify(renamed)


def _reseal(dataset: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the newest block, give it the hash it then has and point the head at it: only its content is wrong."""
    head = dataset / "refs/head"
    raw = change((dataset / "blocks" / head.read_text()).read_bytes())
    name = text(sha3(raw))
    (dataset / "blocks" / name).write_bytes(raw)
    head.write_text(name)


def _newest_slice(dataset: Path) -> tuple[bytes, Path]:
    shown = json.loads((Path(dataset) / "expected-slice.json").read_text())
    return from_text(shown["logicalHash"]), dataset / "data" / shown["physicalHash"]


@pytest.fixture
def readings(reference: Path, tmp_path: Path) -> Path:
    """A copy of a recorded root of which the newest block adds data, with the hashes that block names beside it."""
    recorded = reference / "odf/recorded/csv-header-schema"
    copy = _copy(recorded / "dataset", tmp_path / "readings")
    newest = json.loads((recorded / "expected.json").read_text())["blocks"][-1]["block"]["event"]["newData"]
    (copy / "expected-slice.json").write_text(json.dumps(newest))
    return copy


def test_a_resealed_wrong_logical_hash_is_noticed(readings: Path) -> None:
    logical, _ = _newest_slice(readings)
    wrong = logical[:-1] + bytes([logical[-1] ^ 1])

    _reseal(readings, lambda raw: raw.replace(logical, wrong))

    with pytest.raises(FaultError, match="logical hash is"):
        verify(readings)


def test_a_resealed_other_slice_is_noticed(readings: Path) -> None:
    _, newest = _newest_slice(readings)
    other = next(path for path in (readings / "data").iterdir() if path != newest)
    content = other.read_bytes()
    moved = content + b"\0" * (newest.stat().st_size - len(content))

    name = sha3(moved[: newest.stat().st_size])
    (readings / "data" / text(name)).write_bytes(moved[: newest.stat().st_size])
    _reseal(readings, lambda raw: raw.replace(from_text(newest.name), name))

    with pytest.raises(FaultError, match=text(name)):
        verify(readings)


def test_a_resealed_wrong_link_is_noticed(readings: Path) -> None:
    smallest_first = sorted((readings / "blocks").iterdir(), key=lambda path: path.stat().st_size)
    seed = from_text(smallest_first[0].name)

    _reseal(readings, lambda raw: _relinked(raw, readings, seed))

    with pytest.raises(FaultError, match="sequence number"):
        verify(readings)


def _relinked(raw: bytes, dataset: Path, to: bytes) -> bytes:
    linked = next(name for path in (dataset / "blocks").iterdir() if (name := from_text(path.name)) in raw)
    return raw.replace(linked, to)


def test_recorded_tampering_is_noticed(reference: Path, tmp_path: Path) -> None:
    recorded = reference / "odf/recorded"
    cases = json.loads((recorded / "derivative-tampering.json").read_text())["cases"]

    for case in cases:
        place = _copy(recorded / "derivative-tampering-base", tmp_path / case["name"])
        for change in case.get("changedFiles", []):
            _apply(place, change)
        assert _sound(place) == (case["name"] in LEFT_SOUND), case["name"]

    assert len(cases) == 17


# A reference moved back by hand leaves a sound, shorter dataset; who knows the right head compares it.
LEFT_SOUND = {"none", "ref-back"}


def _apply(place: Path, change: dict[str, str]) -> None:
    path = place / change["dataset"] / change["path"]
    if change.get("removed"):
        path.unlink()
    else:
        path.write_bytes(bytes.fromhex(change["contentHex"]))


def _sound(place: Path) -> bool:
    return main(["--walk", str(place)]) == 0


def test_a_recording_with_another_head_is_noticed(reference: Path, tmp_path: Path) -> None:
    scenario = _copy(reference / "odf/recorded/ledger-basic", tmp_path / "ledger-basic")
    blocks = json.loads((scenario / "expected.json").read_text())["blocks"]
    (scenario / "dataset/refs/head").write_text(blocks[-2]["hash"])

    with pytest.raises(FaultError, match="head"):
        verify_recorded(scenario / "dataset")


def test_the_command_names_the_first_bad_object(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = next((dataset / "blocks").iterdir())
    block.write_bytes(b"")

    code = main([str(dataset)])

    assert code == 1
    assert f"BAD blocks/{block.name}" in capsys.readouterr().out


def test_finding_nothing_is_not_success(tmp_path: Path) -> None:
    assert main(["--walk", str(tmp_path)]) == 1


def _imports(source: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(source.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def _copy(source: Path, target: Path) -> Path:
    # The reference folder may be read-only; the copy must not be.
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder in [target, *filter(Path.is_dir, target.rglob("*"))]:
        folder.chmod(0o755)
    return target
