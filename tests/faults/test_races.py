"""Processes and threads that commit to the same datasets: the history of their calls has an explanation.

Trial VC-01: eight processes write to one dataset; all that was acknowledged is there once, losers may try again.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.errors import ConflictError, UnavailableError
from kamu_assets.odf.dataset import MetadataEvent, SetInfo
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from tests.faults.aftermath import violation_in
from tests.faults.deaths import start
from tests.faults.history import Call, contradictions, read_history, write_history
from tests.faults.stage import memory_folder
from tests.support.builders import START
from tests.support.heart import Heart, an_entry, open_heart

Record = Callable[[str, object], None]
NAMES = ("first", "second", "third")
DATASETS = tuple(an_entry(name).id for name in NAMES)
# One in so many calls only looks.
_READS = 5


@pytest.fixture
def home() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="kamu-races-", dir=memory_folder())
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, home: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{home / 'node.db'}"


@dataclass(frozen=True)
class Race:
    """Who commits to what."""

    datasets: Sequence[DatasetID]
    processes: int
    threads: int
    # Of each thread, acknowledged ones.
    commits: int


def test_eight_processes_commit_at_once(home: Path, url: str, record_property: Record) -> None:  # VC-01
    run(Race(DATASETS[:1], processes=8, threads=1, commits=25), home, url, record_property)


def test_threads_and_processes_commit_to_several_datasets(home: Path, url: str, record_property: Record) -> None:
    run(Race(DATASETS, processes=3, threads=3, commits=15), home, url, record_property)


@pytest.mark.faults
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(
    ("url", "datasets", "commits"),
    [("sqlite", 1, 20_000), ("sqlite", 2, 30_000), ("sqlite", 3, 30_000), ("postgres", 3, 20_000)],
    indirect=["url"],
)
def test_a_hundred_thousand_commits(home: Path, url: str, datasets: int, commits: int, record_property: Record) -> None:
    """In four parts, on both databases."""
    run(Race(DATASETS[:datasets], processes=2, threads=2, commits=commits // 4), home, url, record_property)


def run(race: Race, home: Path, url: str, record_property: Record) -> None:
    heart = open_heart(home, url=url)
    for dataset, name in zip(race.datasets, NAMES, strict=False):
        assert heart.dataset(name).id == dataset

    writers = [start(write, race, home, url, writer) for writer in range(race.processes)]
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * race.processes
    wrong, lost = [], 0
    for dataset in race.datasets:
        calls = read_history(home.glob(f"history-{dataset.as_multibase}-*"))
        blocks = heart.chains.blocks(dataset, newest_first=False)
        chain = [(str(found.block_hash), payload_of(found.block.event)) for found in blocks]
        wrong += list(contradictions(calls, chain))
        acknowledged = {call.payload for call in calls if call.payload and not call.refused}
        lost += len(acknowledged - {payload for _, payload in chain})
        record_property("commits raced", len(acknowledged))
        record_property("commits refused", sum(call.refused for call in calls))
        record_property("heads read", sum(call.payload is None for call in calls))
    heart.database.close()
    record_property("commits lost", lost)
    assert wrong == []
    assert lost == 0
    assert violation_in(home, url=url) is None


def write(race: Race, home: Path, url: str, writer: int) -> None:
    heart = open_heart(home, url=url)
    writers = [Writer(heart, home, f"{writer}.{side}", race.datasets) for side in range(race.threads)]
    sides = [threading.Thread(target=writer.run, args=(race.commits,)) for writer in writers]
    for side in sides:
        side.start()
    for side in sides:
        side.join()


class Writer:
    """Commits, sometimes upon the head it knows and sometimes upon whatever the head is, and looks now and then."""

    def __init__(self, heart: Heart, home: Path, name: str, datasets: Sequence[DatasetID]) -> None:
        self._heart = heart
        self._home = home
        self._name = name
        self._datasets = datasets
        self._chance = random.Random(name)
        self._calls: dict[DatasetID, list[Call]] = {dataset: [] for dataset in datasets}

    def run(self, commits: int) -> None:
        left, number = commits, 0
        while left:
            number += 1
            dataset = self._chance.choice(self._datasets)
            if number % _READS == 0:
                self._read(dataset)
            elif self._commit(dataset, f"{self._name} {number}"):
                left -= 1
        for dataset, calls in self._calls.items():
            write_history(self._home / f"history-{dataset.as_multibase}-{self._name}", calls)

    def _read(self, dataset: DatasetID) -> None:
        invoked = time.monotonic_ns()
        head = self._heart.chains.head(dataset)
        self._calls[dataset].append(Call(invoked, time.monotonic_ns(), None, str(head)))

    def _commit(self, dataset: DatasetID, payload: str) -> bool:
        """Whether it was acknowledged; a refused one is not tried again with the same payload."""
        pinned = self._heart.chains.head(dataset) if self._chance.random() < 0.5 else None
        event = SetInfo(description=payload)
        invoked = time.monotonic_ns()
        try:
            done = self._heart.committer.commit(dataset, expected_head=pinned, events=[event], system_time=START)
            head: Multihash | None = done.new_head
            refused = False
        except HeadMovedError as error:
            head, refused = error.actual, True
        except (ConflictError, UnavailableError):
            # Rolled back by the database: retryable, and nothing is known of the head.
            return False
        self._calls[dataset].append(Call(invoked, time.monotonic_ns(), payload, str(head), refused))
        return not refused


def payload_of(event: MetadataEvent) -> str | None:
    return event.description if isinstance(event, SetInfo) else None
