"""How a verification goes on: what it counts and tells, waits for, and costs others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kamu_assets.coordinator.verify.model import (
    VerdictKind,
    VerifyOptions,
    VerifyProgress,
)
from kamu_assets.coordinator.verify.running import VerificationCancelledError
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.engines.workers.limits import PoolBusyError, WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from tests.support.coordination import InThisProcess
from tests.support.heart import ADMIN
from tests.support.verified import VerifiedStory, a_story, reading

COPY = "select event_time, city, degrees from readings"


def test_a_root_and_a_derivative_are_valid_and_counted(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    for day in (1, 2, 3):
        story.push(root, [reading(day, "A"), reading(day, "B")])
        story.pull(copy)

    report = story.verify(copy)

    assert report.is_valid
    assert report.verdict is VerdictKind.VALID
    assert (report.counts.slices, report.counts.records, report.counts.replays) == (3, 6, 3)
    assert report.counts.bytes == sum(path.stat().st_size for path in story.files(copy))
    assert report.head == story.heart.chains.head(copy.id)
    assert story.verify(root).is_valid


def test_progress_ends_with_everything_done(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    told: list[VerifyProgress] = []

    story.verify(root, VerifyOptions(on_progress=told.append))

    assert told[-1].blocks_done == told[-1].blocks_total == 4
    assert told[-1].bytes_done == told[-1].bytes_total > 0


def test_nobody_waits_for_a_cancelled_verification(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    cancel = threading.Event()
    cancel.set()

    with pytest.raises(VerificationCancelledError):
        story.verify(root, VerifyOptions(cancel=cancel))


class BusyAtFirst(InThisProcess):
    """All workers have work of others, for a while."""

    refusals = 3

    def run(self, job: Callable[[Any], Any], request: Any, **options: Any) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise PoolBusyError("engine", 64)
        return super().run(job, request, **options)


def test_a_verification_waits_for_its_turn(tmp_path: Path) -> None:
    pool = BusyAtFirst()
    with a_story(tmp_path, pool=pool) as story:
        root = story.root()
        story.push(root, [reading(1, "A")])

        report = story.verify(root)

    assert report.is_valid
    assert pool.refusals == 0


def test_a_file_that_wants_all_memory_harms_only_its_reader(tmp_path: Path) -> None:
    limits = WorkerLimits(memory_bytes=192 << 20, time_seconds=60)
    pool = WorkerPool(name="engine", size=1, limits=limits)
    try:
        with a_story(tmp_path, pool=pool) as story:
            root = story.root()
            story.push(root, [reading(1, "A")])
            rows = story.last_rows(root)
            bomb = pa.table([pa.array(["x" * (400 << 20)], pa.large_string())], names=["city"])
            story.forge(root, rows.set_column(4, "city", bomb.column(0)))
            other = story.root("other")
            story.push(other, [reading(1, "A")])

            report = story.verify(root)

            assert report.verdict is VerdictKind.DATA_UNREADABLE
            assert "engine.memory_limit" in str(report.first_fault)
            assert story.verify(other).is_valid
    finally:
        pool.close()


def test_a_dataset_that_was_deleted_meanwhile_is_not_damaged(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])

    def delete(_: VerifyProgress) -> None:
        if story.folder(root).exists():
            story.heart.datasets.delete(ADMIN, root.id)

    with pytest.raises(DatasetNotFoundError):
        story.verify(root, VerifyOptions(on_progress=delete))
