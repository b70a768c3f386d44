"""Bits flip in files that nobody touched: reading refuses, and whoever looks names the file and says what helps."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kamu_assets.coordinator.service import PushData
from kamu_assets.datasets.doctor.findings import FindingKind
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.errors import KamuError
from kamu_assets.odf.names import DatasetName
from kamu_assets.storage.errors import DamagedBlockError, ObjectNotFoundError
from tests.faults.aftermath import violation_in
from tests.faults.story import ids, latest, prepare, records, ref
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError

DATASET = an_entry().id
Rot = Callable[[Path], None]
Record = Callable[[str, object], None]


def flip(path: Path) -> None:
    """One bit somewhere."""
    content = bytearray(path.read_bytes())
    place = random.Random(path.name).randrange(len(content) * 8)
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A home with a dataset of slices and a checkpoint."""
    home = tmp_path / "before"
    home.mkdir()
    heart = open_heart(home)
    heart.dataset()
    for _ in range(2):
        heart.add_data(DATASET)
    heart.add_checkpoint(DATASET)
    heart.database.close()
    return home


def rotten(before: Path, kind: str, rot: Rot) -> list[tuple[Path, Path]]:
    """Homes in each of which one file of a kind is rotten, and that file."""
    folder = Path("datasets") / DATASET.as_multibase / kind
    found = []
    for number, file in enumerate(sorted((before / folder).iterdir())):
        home = before.with_name(f"{kind.replace('/', '-')}-{number}")
        shutil.copytree(before, home)
        rot(home / folder / file.name)
        found.append((home, home / folder / file.name))
    return found


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
def test_a_rotten_block_is_never_read(before: Path, rot: Rot) -> None:
    for home, file in rotten(before, "blocks", rot):
        heart = open_heart(home)

        with pytest.raises((DamagedBlockError, ObjectNotFoundError), match=file.name):
            list(heart.chains.blocks(DATASET))

        assert file.name in damage(heart)
        assert "restore it from a copy" in damage(heart)
        with pytest.raises(FaultError, match=file.name[-8:]):
            verify(file.parent.parent)
        heart.database.close()


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
@pytest.mark.parametrize("kind", ["data", "checkpoints"])
def test_a_rotten_object_is_named(before: Path, kind: str, rot: Rot) -> None:
    """The doctor sees sizes, so that it is quick; contents are hashed by whoever verifies or takes a dataset in."""
    for home, file in rotten(before, kind, rot):
        heart = open_heart(home)
        chain = heart.chains.interval(DATASET, after=None, until=heart.chains.head(DATASET))

        with pytest.raises(FaultError, match=file.name[-8:]):
            verify(file.parent.parent)
        if rot is not flip:
            assert file.name in damage(heart)
            assert "restore it from a copy" in damage(heart)
        assert refused_by_adoption(home, file.parent.parent) is not None
        assert len(chain.slices) == 3
        heart.database.close()


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
def test_a_rotten_reference_is_repaired_at_the_next_start(before: Path, rot: Rot) -> None:
    for home, _ in rotten(before, "refs", rot):
        assert violation_in(home) is None


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
def test_a_rotten_name_does_not_matter_while_sql_has_it(before: Path, rot: Rot) -> None:
    for home, _ in rotten(before, "info", rot):
        assert violation_in(home) is None


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
def test_rot_in_one_dataset_is_nothing_to_others(before: Path, rot: Rot) -> None:
    heart = open_heart(before)
    other = heart.dataset("other")
    for block in (before / "datasets" / DATASET.as_multibase / "blocks").iterdir():
        rot(block)

    assert heart.add_data(other.id) == heart.chains.head(other.id)
    assert heart.datasets.resolve(ADMIN, other.alias).name == DatasetName("other")
    assert {found.dataset for found in heart.doctor.repair() if found.kind is FindingKind.DAMAGED} == {DATASET}
    assert DatasetFiles.of(heart.volumes, other).head() == heart.chains.head(other.id)
    heart.database.close()


@pytest.mark.parametrize("rot", [flip, cut, empty, remove])
@pytest.mark.parametrize("name", ["booked", "kept"])
def test_a_rotten_sidecar_is_made_again(tmp_path: Path, name: str, rot: Rot) -> None:
    prepare(tmp_path)
    heart = open_heart(tmp_path)
    coordinator = a_coordinator(heart, base=tmp_path)
    for numbers in (range(40), range(50)):
        coordinator.push(ADMIN, ref(name), PushData(records(numbers)))
    sidecars = [path for path in (tmp_path / "datasets" / ".sidecars").rglob("*") if path.is_file()]
    for path in sidecars:
        rot(path)

    coordinator.push(ADMIN, ref(name), PushData(records(range(60))))

    assert sidecars
    assert ids(heart, name) == list(range(60))
    assert latest(heart, name) == set(range(60))
    heart.database.close()
    assert violation_in(tmp_path) is None


def damage(heart: Heart) -> str:
    return "\n".join(found.message for found in heart.doctor.repair() if found.kind is FindingKind.DAMAGED)


def refused_by_adoption(home: Path, directory: Path) -> str | None:
    """What a second node says that is given the dataset directory."""
    other = home.with_name(f"{home.name}-other")
    other.mkdir()
    heart = open_heart(other)
    try:
        heart.datasets.adopt(ADMIN, directory)
    except KamuError as error:
        assert list(heart.volumes.root.list()) == []
        return str(error)
    finally:
        heart.database.close()
    return None
