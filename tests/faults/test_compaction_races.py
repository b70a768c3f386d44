"""Compaction while others write, each in a process of its own, and either may be killed (trial VC-19)."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.results import Reorganized
from kamu_assets.coordinator.service import PushData
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.errors import ConflictError, UnavailableError
from tests.faults.aftermath import violation_in
from tests.faults.deaths import start
from tests.faults.stage import memory_folder
from tests.faults.story import ids, note_rows, noted_rows, prepare, records, ref
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.heart import ADMIN, open_heart
from tests.support.waiting import PATIENCE, wait_until

# Before anything is killed.
PUSHES = 10
# Until then, at most.
SECONDS = 3.0
SECONDS_BETWEEN = 0.05


@pytest.fixture
def home() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="kamu-compactions-", dir=memory_folder())
    home = Path(folder) / "home"
    home.mkdir()
    process = start(prepare, home)
    process.join()
    assert process.exitcode == 0
    yield home
    shutil.rmtree(folder)


def push_on(home: Path) -> None:
    """Twenty rows a second, each noted once it is promised, until somebody kills us."""
    heart = open_heart(home)
    coordinator = a_coordinator(heart, base=home)
    number = len(ids(heart, "pushed"))
    while not (home / "stop").exists():
        try:
            coordinator.push(ADMIN, ref("pushed"), PushData(records([number])))
            note_rows(home / "done", [number])
        except (ConflictError, UnavailableError):
            note_rows(home / "refused", [number])
        number += 1
        time.sleep(SECONDS_BETWEEN)


def compact_on(home: Path) -> None:
    """Compactions and the removal of what they leave, one after the other."""
    heart = open_heart(home)
    collection = GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)
    while not (home / "stop").exists():
        try:
            if isinstance(a_reorganization(heart).compact(ADMIN, ref("pushed")), Reorganized):
                note_rows(home / "compacted", [1])
            collection.collect(ADMIN, ref("pushed"), CollectOptions(grace_seconds=0))
        except (HeadMovedError, UnavailableError):
            continue


@contextmanager
def at_once(home: Path) -> Iterator[dict[str, BaseProcess]]:
    """Both at work, until they are told to stop; whatever happens, they end."""
    processes = {"pusher": start(push_on, home), "compactor": start(compact_on, home)}
    try:
        yield processes
        (home / "stop").touch()
        for process in processes.values():
            process.join(PATIENCE)
    finally:
        for process in processes.values():
            process.kill()
            process.join()


@pytest.mark.parametrize("victim", ["pusher", "compactor", "nobody"])
def test_no_push_is_lost_whoever_dies(home: Path, victim: str) -> None:
    with at_once(home) as processes:
        wait_until(lambda: noted_rows(home / "compacted") and len(noted_rows(home / "done")) > PUSHES)
        time.sleep(random.Random(victim).uniform(0, SECONDS))
        if victim in processes:
            processes[victim].kill()

    assert {name for name, process in processes.items() if process.exitcode != 0} <= {victim}
    assert violation_in(home) is None
    heart = open_heart(home)
    found = ids(heart, "pushed")
    heart.database.close()
    assert len(found) == len(set(found))
    assert noted_rows(home / "done") <= set(found)
    assert not noted_rows(home / "refused") & set(found)
