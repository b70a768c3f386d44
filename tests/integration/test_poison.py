"""Hostile files against real workers: each is taken or refused as it has to be, and nobody else notices.

What ends a job that would go on for ever is the limit of the pool; a test that hangs fails by its own time-out.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.errors import KamuError
from kamu_assets.odf.dataset import AddPushSource, DatasetKind, MetadataEvent, SetPollingSource
from kamu_assets.odf.source import FetchStepFilesGlob, MergeStrategyAppend, PrepStepDecompress, ReadStepCsv
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.poison import CITIES, MIB, Poison, corpus
from tests.support.process_tree import all_processes, descendants

Req = TypeVar("Req")
Res = TypeVar("Res")

pytestmark = pytest.mark.fault_matrix
Record = Callable[[str, object], None]
CORPUS = corpus()
MEMORY = 1024 * MIB
SLACK = 512 * MIB
PAGE = os.sysconf("SC_PAGE_SIZE")


class Watched:
    """A pool, and the most memory that its processes had at once."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self.idle = 0
        self.peak = 0

    def run(self, job: Callable[[Req], Res], request: Req, **options: Any) -> Res:
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done,))
        watch.start()
        try:
            return self._pool.run(job, request, **options)
        finally:
            done.set()
            watch.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.1):
            self.peak = max(self.peak, memory_in_use())


def memory_in_use() -> int:
    """Private bytes of all processes below this one."""
    return sum(_private_bytes(stat.pid) for stat in descendants(os.getpid(), all_processes()))


def _private_bytes(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * PAGE


@dataclass
class Bystanders:
    """A node with a dataset that somebody else uses."""

    heart: Heart
    pool: Watched
    coordinator: Coordinator
    other: DatasetEntry
    folder: Path

    def dataset(self, name: str, event: MetadataEvent) -> DatasetEntry:
        entry = an_entry(name, kind=DatasetKind.ROOT)
        self.heart.committer.create(entry, [event], system_time=START)
        return entry

    def push_for_somebody_else(self) -> int | None:
        return self.coordinator.push(ADMIN, self.other.id, PushData(b"city,population\na,1\n")).records

    def staged(self) -> list[Path]:
        return list(self.heart.volumes.root.staging().iterdir())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bystanders]:
    home = tmp_path_factory.mktemp("node")
    heart = open_heart(home)
    limits = WorkerLimits(memory_bytes=MEMORY, time_seconds=50)
    pool = WorkerPool(name="engine", size=1, limits=limits)
    pool.warm_up()
    watched = Watched(pool)
    watched.idle = memory_in_use()
    coordinator = a_coordinator(heart, base=home, pool=watched)
    found = Bystanders(heart, watched, coordinator, an_entry("other"), home)
    source = AddPushSource(
        source_name="default", read=ReadStepCsv(header=True, schema_=CITIES), merge=MergeStrategyAppend()
    )
    heart.committer.create(found.other, [source], system_time=START)
    yield found
    pool.close()
    heart.database.close()


def cases(*, pushed: bool) -> list[Any]:
    """Names of files; those that only `make faults` feeds are marked."""
    names = [name for name, poison in CORPUS.items() if not (pushed and poison.unpack)]
    return [pytest.param(name, marks=[pytest.mark.faults] if is_long(name, pushed=pushed) else []) for name in names]


def is_long(name: str, *, pushed: bool) -> bool:
    """Both ways read alike, so a sample of the corpus shows that polling does no harm either."""
    is_sample = pushed or CORPUS[name].unpack is not None or list(CORPUS).index(name) % 8 == 0
    return CORPUS[name].heavy or not is_sample


@pytest.mark.parametrize("name", cases(pushed=True))
def test_a_pushed_file_hurts_nobody(name: str, node: Bystanders, tmp_path: Path, record_property: Record) -> None:
    record_property("poison files", 1)
    poison = CORPUS[name]
    poison.write(tmp_path / "data")
    source = AddPushSource(source_name="default", read=poison.read, merge=MergeStrategyAppend())
    entry = node.dataset(f"pushed-{list(CORPUS).index(name)}", source)

    judged(
        node,
        entry,
        poison,
        lambda: node.coordinator.push(ADMIN, entry.id, PushData(tmp_path / "data", "data")).records or 0,
        record_property,
    )


@pytest.mark.parametrize("name", cases(pushed=False))
def test_a_polled_file_hurts_nobody(name: str, node: Bystanders, tmp_path: Path, record_property: Record) -> None:
    record_property("poison files", 1)
    poison = CORPUS[name]
    poison.write(tmp_path / "data")
    source = SetPollingSource(
        fetch=FetchStepFilesGlob(path=str(tmp_path / "data")),
        prepare=(PrepStepDecompress(format=poison.unpack),) if poison.unpack else None,
        read=poison.read,
        merge=MergeStrategyAppend(),
    )
    entry = node.dataset(f"polled-{list(CORPUS).index(name)}", source)

    judged(node, entry, poison, lambda: _records(node.coordinator.pull(ADMIN, entry.id)), record_property)

    if poison.refusal is not None:
        # The next pull looks at the same file again.
        assert node.heart.chains.state(entry.id).last_data is None


def judged(
    node: Bystanders, entry: DatasetEntry, poison: Poison, feed: Callable[[], int], record_property: Record
) -> None:
    head = node.heart.chains.head(entry.id)
    node.pool.peak = 0
    began = time.monotonic()

    if poison.refusal is None:
        assert feed() == poison.records
    else:
        with pytest.raises(KamuError) as refusal:
            feed()
        assert type(refusal.value) is poison.refusal, str(refusal.value)
        assert poison.words in str(refusal.value)
        assert len(str(refusal.value)) < 1_000
        assert node.heart.chains.head(entry.id) == head

    record_property("most seconds for a poison file", math.ceil(time.monotonic() - began))
    record_property("most MB for a poison file, above idle", (node.pool.peak - node.pool.idle) // MIB)
    assert node.staged() == []
    assert node.pool.peak <= node.pool.idle + MEMORY + SLACK
    assert node.push_for_somebody_else() == 1


def _records(result: object) -> int:
    return result.records if isinstance(result, Updated) else 0


def test_the_corpus_is_no_small_one() -> None:
    assert len(CORPUS) > 120
    assert sum(poison.heavy for poison in CORPUS.values()) < len(CORPUS) // 10
