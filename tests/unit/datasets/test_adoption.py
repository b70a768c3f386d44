from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.errors import (
    BeingAdoptedError,
    DamagedDatasetError,
    DanglingObjectError,
    NameCollisionError,
    RefCollisionError,
)
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError, KamuError
from kamu_assets.governance.errors import LoginRequiredError
from kamu_assets.odf.identity import DatasetAlias
from tests.support.heart import ADMIN, Heart, open_heart

NAME = DatasetAlias.parse("kamu/taken-in")
TAKES_IN = "append-many-slices"


@pytest.fixture
def directory(reference: Path, tmp_path: Path) -> Path:
    """A dataset directory that kamu made, to do with as the test likes."""
    return Path(shutil.copytree(reference / "odf" / "recorded" / TAKES_IN / "dataset", tmp_path / "theirs"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folder_of(heart: Heart, entry: DatasetEntry) -> Path:
    return Path(heart.datasets.storage_location(entry))


def test_a_directory_of_kamu_becomes_a_dataset_byte_for_byte(heart: Heart, directory: Path) -> None:
    before = files(directory)
    told: list[tuple[int, int]] = []

    entry = heart.datasets.adopt(ADMIN, directory, on_progress=lambda done, total: told.append((done, total)))

    assert files(folder_of(heart, entry)) == before == files(directory)
    assert str(entry.name) == before["info/alias"].decode().rpartition("/")[2]
    summary = heart.datasets.summary(ADMIN, entry.id)
    assert str(summary.head) == before["refs/head"].decode()
    sizes = [len(content) for name, content in before.items() if name.startswith("data/")]
    assert (summary.statistics.slices, summary.statistics.data_size) == (len(sizes), sum(sizes))
    assert told[-1] == (sum(sizes), sum(sizes))
    assert heart.doctor.repair(dry_run=True) == []


def test_a_given_name_is_written_down_for_the_day_sql_is_lost(heart: Heart, directory: Path) -> None:
    entry = heart.datasets.adopt(ADMIN, directory, NAME)

    assert entry.alias == NAME
    assert (folder_of(heart, entry) / "info" / "alias").read_text() == "kamu/taken-in"


def test_a_directory_inside_the_volume_is_used_in_place(tmp_path: Path, directory: Path) -> None:
    heart = open_heart(tmp_path)
    named = heart.datasets.adopt(ADMIN, directory, NAME)
    place = folder_of(heart, named)
    heart.datasets.delete(ADMIN, named.id)
    shutil.copytree(directory, place)
    inodes = {path: path.stat().st_ino for path in place.rglob("f1620*")}

    entry = heart.datasets.adopt(ADMIN, place)

    assert entry.id == named.id
    assert {path: path.stat().st_ino for path in place.rglob("f1620*")} == inodes


def test_derivatives_are_taken_in_without_their_inputs(heart: Heart, reference: Path) -> None:
    theirs = reference / "odf" / "recorded" / "derivative-multi-level" / "datasets"

    derived = heart.datasets.adopt(ADMIN, theirs / "lv.a")
    assert heart.datasets.inputs(ADMIN, derived.id) == []
    root = heart.datasets.adopt(ADMIN, theirs / "readings")

    assert heart.datasets.inputs(ADMIN, derived.id) == [root]
    assert heart.datasets.dependents(ADMIN, root.id) == [derived]


def remove_head(directory: Path) -> None:
    (directory / "refs" / "head").unlink()


def spoil_head(directory: Path) -> None:
    (directory / "refs" / "head").write_text("../../etc/passwd")


def remove_a_block(directory: Path) -> None:
    _a_block(directory).unlink()


def flip_a_bit_of_a_block(directory: Path) -> None:
    _flip(_a_block(directory))


def cut_a_block(directory: Path) -> None:
    path = _a_block(directory)
    path.write_bytes(path.read_bytes()[:-20])


def remove_a_slice(directory: Path) -> None:
    _a_slice(directory).unlink()


def flip_a_bit_of_a_slice(directory: Path) -> None:
    _flip(_a_slice(directory))


def cut_a_slice(directory: Path) -> None:
    path = _a_slice(directory)
    path.write_bytes(path.read_bytes()[:-1])


def link_a_slice(directory: Path) -> None:
    path = _a_slice(directory)
    path.rename(directory / "elsewhere")
    path.symlink_to(directory / "elsewhere")


def link_the_slices(directory: Path) -> None:
    _link(directory / "data")


def link_the_head(directory: Path) -> None:
    _link(directory / "refs" / "head")


def link_the_alias(directory: Path) -> None:
    _link(directory / "info" / "alias")


def stretch_the_head(directory: Path) -> None:
    (directory / "refs" / "head").write_bytes(b"f" * 1_000_000)


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _a_block(directory: Path) -> Path:
    """Neither the first nor the last."""
    head = (directory / "refs" / "head").read_text()
    return min(path for path in (directory / "blocks").iterdir() if path.name != head)


def _a_slice(directory: Path) -> Path:
    return min((directory / "data").iterdir())


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (remove_head, DamagedDatasetError, "it has no refs/head"),
        (spoil_head, DamagedDatasetError, "is not a hash"),
        (remove_a_block, DamagedDatasetError, "block f1620.*: is not there"),
        (flip_a_bit_of_a_block, DamagedDatasetError, "block f1620.*: is damaged: its bytes hash to f1620"),
        (cut_a_block, DamagedDatasetError, "block f1620.*: is damaged"),
        (remove_a_slice, DanglingObjectError, r"data slice \(block \d+, f1620\w+\) f1620\w+ is not there"),
        (flip_a_bit_of_a_slice, DanglingObjectError, "data slice .* is damaged: its bytes hash to f1620"),
        (cut_a_slice, DanglingObjectError, "data slice .* has .* bytes, not"),
        (link_a_slice, DamagedDatasetError, "is not a plain file"),
        (link_the_slices, DamagedDatasetError, "data: is a link, not a plain folder"),
        (link_the_head, DamagedDatasetError, "refs/head: is not a plain file"),
        (link_the_alias, DamagedDatasetError, "info/alias: is not a plain file"),
        (stretch_the_head, DamagedDatasetError, "refs/head: has more than 4096 bytes"),
    ],
)
def test_what_is_damaged_is_refused_by_name_and_leaves_nothing(
    heart: Heart, directory: Path, spoil: Callable[[Path], None], error: type[KamuError], words: str
) -> None:
    spoil(directory)
    before = files(directory)

    with pytest.raises(error, match=words):
        heart.datasets.adopt(ADMIN, directory, NAME)

    assert list(heart.volumes.root.list()) == []
    assert heart.datasets.list(ADMIN) == []
    assert files(directory) == before


def test_a_chain_that_breaks_a_rule_is_refused(heart: Heart, reference: Path, tmp_path: Path) -> None:
    """Two datasets, the head of one in the folder of the other: every hash is right, the identity is not."""
    one, other = (reference / "odf" / "recorded" / name / "dataset" for name in (TAKES_IN, "append-order"))
    mixed = tmp_path / "mixed"
    shutil.copytree(one, mixed)
    shutil.copytree(other / "blocks", mixed / "blocks", dirs_exist_ok=True)
    shutil.copyfile(other / "refs" / "head", mixed / "refs" / "head")

    with pytest.raises(DanglingObjectError, match="data slice"):
        heart.datasets.adopt(ADMIN, mixed, NAME)


def test_a_dataset_is_taken_in_once(heart: Heart, directory: Path) -> None:
    heart.datasets.adopt(ADMIN, directory, NAME)

    with pytest.raises(RefCollisionError, match="already here as 'kamu/taken-in'"):
        heart.datasets.adopt(ADMIN, directory, DatasetAlias.parse("kamu/again"))


def test_a_taken_name_refuses_before_anything_is_copied(heart: Heart, directory: Path) -> None:
    heart.dataset("TAKEN-in")
    before = list(heart.volumes.root.list())

    with pytest.raises(NameCollisionError):
        heart.datasets.adopt(ADMIN, directory, NAME)

    assert list(heart.volumes.root.list()) == before


def test_two_processes_do_not_take_in_the_same_dataset_at_once(heart: Heart, directory: Path) -> None:
    def try_again(_: int, __: int) -> None:
        with pytest.raises(BeingAdoptedError):
            heart.datasets.adopt(ADMIN, directory, DatasetAlias.parse("kamu/again"))

    entry = heart.datasets.adopt(ADMIN, directory, NAME, on_progress=try_again)

    assert heart.datasets.list(ADMIN) == [entry]
    assert heart.doctor.repair(dry_run=True) == []


def test_not_everybody_takes_in(heart: Heart, directory: Path) -> None:
    with pytest.raises(LoginRequiredError):
        heart.datasets.adopt(ANONYMOUS, directory, NAME)


def test_a_directory_without_a_name_needs_one(heart: Heart, directory: Path) -> None:
    (directory / "info" / "alias").unlink()

    with pytest.raises(InvalidError, match="give it a name"):
        heart.datasets.adopt(ADMIN, directory)
    assert heart.datasets.adopt(ADMIN, directory, NAME).alias == NAME


def test_a_link_is_refused_in_the_volume_too(tmp_path: Path, directory: Path) -> None:
    heart = open_heart(tmp_path)
    named = heart.datasets.adopt(ADMIN, directory, NAME)
    place = folder_of(heart, named)
    heart.datasets.delete(ADMIN, named.id)
    shutil.copytree(directory, place)
    link_a_slice(place)

    with pytest.raises(DamagedDatasetError, match="is not a plain file"):
        heart.datasets.adopt(ADMIN, place)


@pytest.mark.parametrize("alias", [b"../../x", b"", b"a\0b", b"\xff"])
def test_a_bad_alias_is_told_or_replaced(heart: Heart, directory: Path, alias: bytes) -> None:
    (directory / "info" / "alias").write_bytes(alias)

    with pytest.raises(DamagedDatasetError, match="info/alias: "):
        heart.datasets.adopt(ADMIN, directory)
    entry = heart.datasets.adopt(ADMIN, directory, NAME)

    assert (folder_of(heart, entry) / "info" / "alias").read_text() == "kamu/taken-in"
    assert (folder_of(heart, entry) / "refs" / "head").read_bytes() == (directory / "refs" / "head").read_bytes()


def test_leftovers_of_dead_writers_are_not_taken_along(heart: Heart, directory: Path) -> None:
    (directory / "data" / ".pending-0123456789abcdef").write_bytes(b"half")

    entry = heart.datasets.adopt(ADMIN, directory, NAME)

    assert not list(folder_of(heart, entry).rglob(".pending*"))
