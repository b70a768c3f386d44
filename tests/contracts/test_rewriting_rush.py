"""A chain that others never stop committing to is rewritten all the same, and keeps what they commit."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kamu_assets.coordinator.results import Reorganized
from kamu_assets.datasets.commit.committer import CommitStep
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import UnavailableError
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify

SLICES = 4
RECORDS = 10
# Inside of the transaction nobody else gets to the database.
ALONE = frozenset({CommitStep.HEAD_MOVED, CommitStep.ROWS_WRITTEN})


class KilledError(UnavailableError):
    """The process ends here."""


class Rush:
    """Somebody commits at every step that somebody else takes, until that one has the head."""

    def __init__(self, heart: Heart, *, most: int = 1000) -> None:
        self.heart = heart
        self.entry = an_entry()
        self.steps: list[CommitStep] = []
        self.pushed = SLICES
        self._most = SLICES + most
        self.dies_at: int | None = None

    def __call__(self, step: CommitStep) -> None:
        if CommitStep.SEALED not in self.steps and step not in ALONE and self.pushed < self._most:
            self.heart.add_data(self.entry.id)
            self.pushed += 1
        self.steps.append(step)
        if len(self.steps) == self.dies_at:
            raise KilledError(step)


def worn(home: Path, url: str) -> Heart:
    """A node with a dataset of several slices."""
    heart = open_heart(home, url=url)
    entry = heart.dataset()
    for _ in range(SLICES):
        heart.add_data(entry.id)
    return heart


@pytest.fixture
def rush(migrated_url: str, tmp_path: Path) -> Iterator[Rush]:
    rush = Rush(worn(tmp_path, migrated_url))
    yield rush
    rush.heart.database.close()


@pytest.fixture
def slow(rush: Rush, migrated_url: str, tmp_path: Path) -> Iterator[Heart]:
    """Of another process of the same node."""
    heart = open_heart(tmp_path, url=migrated_url, on_step=rush)
    yield heart
    heart.database.close()


def records(heart: Heart, entry: DatasetEntry) -> int:
    """As the registry, the files and the doctor say."""
    found = heart.datasets.summary(ADMIN, entry.id).statistics.records
    assert verify(Path(heart.datasets.storage_location(entry))).records == found
    assert {each.kind for each in heart.doctor.repair(dry_run=True)} <= {"unreachable"}
    return found


def test_a_compaction_catches_up_with_who_never_stops(rush: Rush, slow: Heart) -> None:
    done = a_reorganization(slow).compact(ADMIN, rush.entry.id)

    assert isinstance(done, Reorganized)
    # Nothing that was put together is made twice.
    assert rush.steps.count(CommitStep.BLOCK_STORED) == done.resulting_blocks - 1
    assert done.original_blocks - done.resulting_blocks == SLICES - 1
    assert rush.pushed > SLICES * 2
    assert records(rush.heart, rush.entry) == rush.pushed * RECORDS


def test_a_reset_to_metadata_leaves_no_row(rush: Rush, slow: Heart) -> None:
    done = a_reorganization(slow).reset_to_metadata(ADMIN, rush.entry.id)

    assert isinstance(done, Reorganized)
    assert rush.pushed > SLICES
    assert records(rush.heart, rush.entry) == 0


@pytest.mark.parametrize("work", ["compact", "reset_to_metadata"])
def test_whoever_dies_on_the_way_leaves_the_dataset_as_it_was(tmp_path: Path, work: str) -> None:
    before = tmp_path / "before"
    before.mkdir()
    worn(before, f"sqlite:///{before / 'node.db'}").database.close()
    for number in itertools.count(1):
        home = shutil.copytree(before, tmp_path / str(number))
        rush = Rush(open_heart(home), most=3)
        slow = open_heart(home, on_step=rush)
        rush.dies_at = number
        begin: Callable[..., object] = getattr(a_reorganization(slow), work)
        with suppress(KilledError):
            begin(ADMIN, rush.entry.id)
        slow.database.close()

        # As it does whenever it starts.
        rush.heart.doctor.repair()
        is_empty = CommitStep.COMMITTED in rush.steps and work == "reset_to_metadata"
        assert records(rush.heart, rush.entry) == (0 if is_empty else rush.pushed * RECORDS)
        rush.heart.database.close()
        if len(rush.steps) < number:
            assert set(rush.steps) >= set(CommitStep) - {CommitStep.FILE_STORED}
            return
