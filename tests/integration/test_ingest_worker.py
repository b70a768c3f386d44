"""Ingest in real child processes: what kills a worker hurts nobody else."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.service import PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.workers.limits import MemoryLimitError, WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.odf.data import DataField, DataSchema, Int64Type, OptionType, StringType, TimestampType
from kamu_assets.odf.dataset import AddPushSource, SetPollingSource
from kamu_assets.odf.source import FetchStepFilesGlob, MergeStrategyAppend, ReadStepCsv
from kamu_assets.storage.errors import StorageFullError
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry

MIB = 1 << 20
READ = ReadStepCsv(
    schema_=DataSchema(
        fields=(
            DataField(name="event_time", type=OptionType(inner=TimestampType())),
            DataField(name="n", type=Int64Type()),
            DataField(name="text", type=OptionType(inner=StringType())),
        )
    )
)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 * MIB, time_seconds=120)
    found = WorkerPool(name="engine", size=1, limits=limits)
    yield found
    found.close()


def a_root(heart: Heart) -> DatasetEntry:
    entry = an_entry("numbers")
    source = AddPushSource(source_name="default", read=READ, merge=MergeStrategyAppend())
    heart.committer.create(entry, [source], system_time=START)
    return entry


def test_a_push_goes_through_a_worker(heart: Heart, pool: WorkerPool, tmp_path: Path) -> None:
    entry = a_root(heart)

    result = a_coordinator(heart, base=tmp_path, pool=pool).push(ADMIN, entry.id, PushData(b",1,a\n,2,b\n"))

    assert result.records == 2
    assert list(heart.volumes.root.staging().iterdir()) == []


def test_a_file_far_larger_than_memory_streams_through(heart: Heart, pool: WorkerPool, tmp_path: Path) -> None:
    entry = a_root(heart)
    body = tmp_path / "body.csv"
    row = ",7," + "x" * 1000 + "\n"
    with body.open("w") as file:
        for _ in range(700):
            file.write(row * 1000)

    result = a_coordinator(heart, base=tmp_path, pool=pool).push(ADMIN, entry.id, PushData(body))

    assert body.stat().st_size > 600 * MIB
    assert result.records == 700_000


def test_a_file_that_needs_too_much_memory_is_refused(heart: Heart, pool: WorkerPool, tmp_path: Path) -> None:
    entry = a_root(heart)
    head = heart.chains.head(entry.id)
    body = tmp_path / "body.csv"
    # Out of order, and allowed to sort in more memory than the worker has.
    with body.open("w") as file:
        for day in (2, 1):
            for _ in range(350):
                file.write(f"2024-01-0{day},7,{'x' * 1000}\n" * 1000)
    coordinator = a_coordinator(heart, base=tmp_path, pool=pool, limits=IngestLimits(sort_memory_bytes=8192 * MIB))

    with pytest.raises(MemoryLimitError):
        coordinator.push(ADMIN, entry.id, PushData(body))

    assert heart.chains.head(entry.id) == head
    assert list(heart.volumes.root.staging().iterdir()) == []
    assert coordinator.push(ADMIN, entry.id, PushData(b",1,a\n")).records == 1


def test_a_full_disk_is_told_plainly_and_changes_nothing(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    head = heart.chains.head(entry.id)
    body = tmp_path / "body.csv"
    # A limit on file sizes stands for a disk without room.
    body.write_text("".join(f"2024-01-01T00:{n % 59:02}:00Z,{n},{n * 7919}\n" for n in range(200_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))

    try:
        with pytest.raises(StorageFullError, match="no space left"):
            a_coordinator(heart, base=tmp_path).push(ADMIN, entry.id, PushData(body))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    assert heart.chains.head(entry.id) == head
    assert list(heart.volumes.root.staging().iterdir()) == []


def test_progress_is_told_while_a_slice_is_written(heart: Heart, pool: WorkerPool, tmp_path: Path) -> None:
    source = SetPollingSource(fetch=FetchStepFilesGlob(path="*.csv"), read=READ, merge=MergeStrategyAppend())
    entry = an_entry("polled")
    heart.committer.create(entry, [source], system_time=START)
    (tmp_path / "a.csv").write_text(",1,a\n" * 100_000)
    told: list[int] = []

    a_coordinator(heart, base=tmp_path, pool=pool).pull(ADMIN, entry.id, on_rows=told.append)

    assert told == sorted(told)
    assert told[-1] == 100_000
