"""Directories whose blocks lie about rows, or add rows where none belong: refused by name before they are adopted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.coordinator.adoption import AdoptOptions
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.coordinator.verify.model import VerifyOptions, VerifyProgress, VerifyScope
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import Seed
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.storage.layout import dataset_folder
from tests.faults.forgeries import DATASET, TAKEN, a_home, blocks_of, changed, sealed, slice_changed, write
from tests.support.builders import a_logical_hash
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart

READERS = ("kamu_assets.coordinator.verify.slice_reading",)
CLAIMS = {
    "another content": (slice_changed(logical_hash=a_logical_hash("other rows")), "DataLogicalHashMismatch"),
    "more rows": (slice_changed(offset_interval=OffsetInterval(start=20, end=30)), "DataOffsetsMismatch"),
    "fewer rows": (slice_changed(offset_interval=OffsetInterval(start=20, end=28)), "DataOffsetsMismatch"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    return a_home(folder)


@pytest.fixture
def heart(tmp_path: Path) -> Heart:
    return open_heart(tmp_path)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 << 20, time_seconds=120)
    found = WorkerPool(name="engine", size=1, limits=limits, preload=READERS)
    yield found
    found.close()


@pytest.fixture
def coordinator(heart: Heart, tmp_path: Path, pool: WorkerPool) -> Coordinator:
    return a_coordinator(heart, base=tmp_path, verify_pool=pool)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_directory_whose_rows_are_others_is_not_adopted(
    heart: Heart, coordinator: Coordinator, home: Path, claim: str
) -> None:
    """By a worker, who reads them; blocks, names of files and sizes are all as they must be."""
    forge, verdict = CLAIMS[claim]
    write(home, sealed(forge(blocks_of(home))))
    head = (home / "refs" / "head").read_text()
    told: list[VerifyProgress] = []

    with pytest.raises(DamagedDatasetError, match=verdict) as refused:
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN, on_rows=told.append))

    assert refused.value.where.endswith(f"of block 4 ({head})")
    assert told[-1].blocks_done == told[-1].blocks_total == 5
    assert list(heart.volumes.root.list()) == []
    assert heart.datasets.list(ADMIN) == []
    assert coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN, reads_rows=False)).alias == TAKEN


def test_rows_that_are_numbered_wrong_are_not_adopted(coordinator: Coordinator, heart: Heart, home: Path) -> None:
    """The slice is another one, and all hashes are its own."""
    other = heart.a_slice(start=120)
    (home / "data" / str(other.physical_hash)).write_bytes(other.path.read_bytes())
    forge = slice_changed(physical_hash=other.physical_hash, logical_hash=other.logical_hash, size=other.size)
    write(home, sealed(forge(blocks_of(home))))

    with pytest.raises(DamagedDatasetError, match=r"rows at 20 have offsets 120 to 129; the block says 20 to 29"):
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN))


def test_a_derivative_that_was_added_to_is_not_adopted(coordinator: Coordinator, heart: Heart, home: Path) -> None:
    seed = Seed(dataset_id=DATASET, dataset_kind=DatasetKind.DERIVATIVE)
    write(home, sealed(changed(0, event=seed)(blocks_of(home))))

    with pytest.raises(DamagedDatasetError, match=r"^block 2 .*AddData has no place in the chain of a derivative"):
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN))
    assert heart.datasets.list(ADMIN) == []


def test_what_is_wrong_with_a_directory_in_the_volume_is_not_removed(
    coordinator: Coordinator, heart: Heart, home: Path
) -> None:
    """Somebody put it there, and may want to mend it."""
    genuine = (home / "refs" / "head").read_text()
    write(home, sealed(slice_changed(logical_hash=a_logical_hash("other rows"))(blocks_of(home))))
    place = Path(shutil.copytree(home, heart.volumes.root.location(dataset_folder(DATASET))))

    with pytest.raises(DamagedDatasetError, match="DataLogicalHashMismatch"):
        coordinator.adopt(ADMIN, place, AdoptOptions(TAKEN))

    assert heart.datasets.list(ADMIN) == []
    (place / "refs" / "head").write_text(genuine)
    assert coordinator.adopt(ADMIN, place, AdoptOptions(TAKEN)).id == DATASET


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        ("append-many-slices/dataset", DatasetKind.ROOT),
        ("derivative-multi-level/datasets/readings", DatasetKind.ROOT),
        ("derivative-multi-level/datasets/lv.a", DatasetKind.DERIVATIVE),
    ],
)
def test_what_a_real_kamu_wrote_is_adopted(
    coordinator: Coordinator, reference: Path, recorded: str, kind: DatasetKind
) -> None:
    told: list[VerifyProgress] = []

    entry = coordinator.adopt(
        ADMIN, reference / "odf" / "recorded" / recorded, AdoptOptions(TAKEN, on_rows=told.append)
    )

    assert entry.kind is kind
    assert told[-1].bytes_done == told[-1].bytes_total > 0
    assert coordinator.verify(ADMIN, entry.id, VerifyOptions(scope=VerifyScope.INTEGRITY)).is_valid


def test_a_file_that_is_not_what_its_name_says_is_not_adopted(
    coordinator: Coordinator, reference: Path, tmp_path: Path
) -> None:
    """Though the rows of a derivative are the right ones, so that verification only remarks upon it."""
    recorded = reference / "odf" / "recorded" / "derivative-multi-level" / "datasets" / "lv.a"
    theirs = Path(shutil.copytree(recorded, tmp_path / "theirs"))
    slices = sorted((theirs / "data").iterdir())
    slices[0].write_bytes(slices[0].read_bytes().replace(b"datafusion version", b"datafusion versiom"))

    with pytest.raises(DamagedDatasetError, match=rf"^data/{slices[0].name} of block .*Reencoded"):
        coordinator.adopt(ADMIN, theirs, AdoptOptions(TAKEN))
