"""A volume that is full or read-only for real: whoever meets it blames the disk, and all goes on when it is well."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamu_assets.coordinator.service import PushData
from kamu_assets.database.errors import DatabaseFullError
from kamu_assets.durability import Durability
from kamu_assets.engines.datafusion.engine import run_transform
from kamu_assets.engines.pooled import PooledEngine
from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.storage.errors import StorageFullError, StorageUnavailableError
from kamu_assets.storage.local import LocalObjectStore
from tests.faults.aftermath import violation_in
from tests.faults.deaths import told_by
from tests.faults.story import prepare, records, ref
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart, that_adds

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount file systems; errors are injected in the other tests")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 * MIB, time_seconds=120)
    found = WorkerPool(name="engine", size=1, limits=limits)
    yield found
    found.close()


def test_a_full_disk_is_blamed_whoever_meets_it(small_disk: Path, pool: WorkerPool) -> None:
    """With ever less room: at last not even a block fits; then everything fits again."""
    prepare(small_disk)
    heart = open_heart(small_disk)
    engine = PooledEngine(pool, run_transform, memory_bytes=256 * MIB)
    coordinator = a_coordinator(heart, base=small_disk, pool=pool, engines={"datafusion": engine})
    coordinator.push(ADMIN, ref("pushed"), PushData(records(range(20_000))))
    refused = 0

    for room in (256, 128, 64, 16, 4, 0):
        with filled(small_disk, room=room << 10):
            refused += sum(
                is_refused(heart, work)
                for work in (
                    lambda: coordinator.push(ADMIN, ref("booked"), PushData(records(range(20_000)))),
                    lambda: coordinator.pull(ADMIN, ref("polled")),
                    lambda: coordinator.pull(ADMIN, ref("doubled")),
                )
            )

    assert refused >= 6
    assert coordinator.push(ADMIN, ref("booked"), PushData(records(range(20_001)))).records in {1, 20_001}
    coordinator.pull(ADMIN, ref("doubled"))
    heart.database.close()
    assert told_by(violation_in, small_disk) is None


@contextlib.contextmanager
def filled(folder: Path, *, room: int) -> Iterator[None]:
    filler = folder / "filler"
    state = os.statvfs(folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail * state.f_frsize - room))
    yield
    filler.unlink()


def is_refused(heart: Heart, work: Callable[[], object]) -> bool:
    """Whether the disk was blamed; the dataset is as before then, and nothing of the attempt is left."""
    heads = [found.head for found in heart.datasets.summaries(ADMIN)]
    try:
        work()
    except (StorageFullError, DatabaseFullError):
        assert [found.head for found in heart.datasets.summaries(ADMIN)] == heads
        assert list(heart.volumes.root.staging().iterdir()) == []
        return True
    return False


def test_a_volume_that_cannot_be_written_is_named(tmp_path: Path, small_disk: Path) -> None:
    heart = open_heart(tmp_path, store_class=_on(small_disk))
    entry = heart.dataset()
    head = heart.add_data(entry.id)
    new, state = heart.a_slice(start=10), heart.chains.state(entry.id)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    for events, files in (([that_adds(new, state)], [new]), ([SetInfo(description="x")], [])):
        with pytest.raises(StorageUnavailableError, match=f"{small_disk}.* cannot be used: Read-only file system"):
            heart.committer.commit(entry.id, expected_head=head, events=events, files=files, system_time=START)

    assert heart.chains.head(entry.id) == head
    assert next(heart.chains.blocks(entry.id)).block_hash == head
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert heart.add_data(entry.id) == heart.chains.head(entry.id)
    assert new.path.exists()


def _on(folder: Path) -> type[LocalObjectStore]:
    class Elsewhere(LocalObjectStore):
        def __init__(self, root: Path, durability: Durability) -> None:  # noqa: ARG002 - what it is called with
            super().__init__(folder / "volume", durability)

    return Elsewhere
