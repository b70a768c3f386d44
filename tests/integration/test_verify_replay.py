"""Verification of derivatives: their results are computed again."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.coordinator.verify.model import (
    RemarkKind,
    VerdictKind,
    VerifyOptions,
    VerifyScope,
)
from kamu_assets.engines.engine import Engine, TransformRequest, TransformResponse
from kamu_assets.engines.incremental.engine import run_incremental
from kamu_assets.engines.pooled import PooledEngine
from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from tests.support.inline_engine import InlineEngine
from tests.support.verdicts import HashingEngine
from tests.support.verified import VerifiedStory, a_story, flip, flip_harmlessly, reading

COPY = "select event_time, city, degrees from readings"


def test_inputs_are_verified_when_asked_for(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    again = story.derivative("again", "select event_time, city from copy", "copy")
    story.push(root, [reading(1, "A")])
    story.pull(copy)
    story.pull(again)
    flip_harmlessly(story.files(root)[0])

    alone = story.verify(again)
    with_inputs = story.verify(again, VerifyOptions(recursive=True))

    assert alone.is_valid
    assert not with_inputs.is_valid
    assert with_inputs.verdict is VerdictKind.VALID
    verdicts = {str(report.dataset.name): report.verdict for report in with_inputs.inputs}
    assert verdicts == {"readings": VerdictKind.DATA_PHYSICAL_HASH_MISMATCH, "copy": VerdictKind.VALID}
    assert [str(report.dataset.name) for report in with_inputs.inputs] == ["readings", "copy"]


def test_a_damaged_input_is_blamed_not_the_result(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    story.push(root, [reading(1, "A")])
    story.pull(copy)
    (rotten,) = story.files(root)
    rotten.write_bytes(b"PAR1" + rotten.read_bytes()[4:40])

    report = story.verify(copy)

    assert report.first_fault is not None
    assert f"its input kamu/readings is damaged (data/{rotten.name}): verify that first" in report.first_fault.message


def test_a_result_that_cannot_come_of_its_inputs_is_found(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    story.push(root, [reading(1, "A", 5.0)])
    story.pull(copy)
    rows = story.last_rows(copy)
    story.forge(copy, rows.set_column(5, rows.schema.field(5), pa.array([6.0])))

    report = story.verify(copy)

    assert report.verdict is VerdictKind.DATA_NOT_REPRODUCIBLE
    assert "another logical hash" in str(report.first_fault)
    assert story.verify(copy, VerifyOptions(scope=VerifyScope.INTEGRITY)).is_valid


def test_a_query_that_gives_something_else_each_time_is_blamed(story: VerifiedStory) -> None:
    query = COPY.replace(" from ", ", random() as x, UUID() as y, 'now()' as z from ", 1)
    root, copy = story.root(), story.derivative("copy", query, "readings")
    story.push(root, [reading(1, "A")])
    story.pull(copy)

    report = story.verify(copy)

    assert report.verdict is VerdictKind.DATA_NOT_REPRODUCIBLE
    assert "the likely reason is random(), uuid() in its query" in str(report.first_fault)


UNION = f"{COPY} where degrees < 2 union all {COPY} where degrees >= 2"


@pytest.mark.parametrize("engine", [InlineEngine(), HashingEngine()], ids=["with a file", "hashing only"])
@pytest.mark.parametrize(
    ("query", "verdict", "remarks"),
    [(UNION, VerdictKind.VALID, [RemarkKind.ROW_ORDER]), (COPY, VerdictKind.DATA_NOT_REPRODUCIBLE, [])],
    ids=["union", "no union"],
)
def test_rows_in_another_order_are_told_from_other_rows(
    tmp_path: Path, query: str, verdict: VerdictKind, remarks: list[RemarkKind], engine: Engine
) -> None:
    with a_story(tmp_path, engines={"datafusion": engine}) as story:
        root, copy = story.root(), story.derivative("copy", query, "readings")
        story.push(root, [reading(1, "A", 1.0), reading(1, "B", 2.0), reading(1, "B", 3.0)])
        story.pull(copy)
        rows = story.last_rows(copy)
        swapped = rows.take([2, 0, 1])
        story.forge(copy, swapped.set_column(0, rows.schema.field(0), rows.column(0)))

        report = story.verify(copy)

    assert report.verdict is verdict
    assert [remark.kind for remark in report.remarks] == remarks
    told = [*report.faults, *report.remarks]
    assert "the same in another order" in str(told[0])


class Watched(HashingEngine):
    """Remembers of each result whether it became a file."""

    def __init__(self) -> None:
        self.written: list[bool] = []

    def hash_rows(self, request: TransformRequest, *, cancel: threading.Event | None = None) -> TransformResponse:
        answer = super().hash_rows(request, cancel=cancel)
        self.written.append(request.new_data_path.exists())
        return answer


def test_an_engine_that_hashes_writes_nothing(tmp_path: Path) -> None:
    engine = Watched()
    with a_story(tmp_path, engines={"datafusion": engine}) as story:
        root, copy = story.root(), story.derivative("copy", COPY, "readings")
        story.push(root, [reading(1, "A")])
        story.pull(copy)

        report = story.verify(copy)

    assert (report.verdict, report.counts.replays) == (VerdictKind.VALID, 1)
    assert engine.written == [False]


def test_an_input_that_lost_what_was_read_of_it_is_named(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    for day in (1, 2):
        story.push(root, [reading(day, "A")])
        story.pull(copy)
    data, block = story.files(root)[0], story.files(root, "blocks")[4]

    content = data.read_bytes()
    data.unlink()
    without_data = story.verify(copy)
    data.write_bytes(content)
    block.unlink()
    without_block = story.verify(copy)

    assert without_data.verdict is VerdictKind.ENGINE_ERROR
    assert data.name in str(without_data.first_fault)
    assert without_block.verdict is VerdictKind.INVALID_INTERVAL
    assert "kamu/readings" in str(without_block.first_fault)
    assert block.name in str(without_block.first_fault)


def test_replays_leave_no_files(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    story.push(root, [reading(1, "A")])
    story.pull(copy)

    story.verify(copy)

    assert list(story.heart.volumes.staging(copy.kind).iterdir()) == []


TUMBLE = (
    "select tumble_start(event_time, interval '1' day) as event_time, city, sum(degrees) as degrees from readings "
    "group by tumble(event_time, interval '1' day), city"
)


def test_stateful_results_are_computed_again_from_their_recorded_checkpoints(tmp_path: Path) -> None:
    limits = WorkerLimits(memory_bytes=1 << 30, time_seconds=60)
    pool = WorkerPool(name="engine", size=2, limits=limits)
    try:
        with a_story(tmp_path, engines={"flink": PooledEngine(pool, run_incremental, memory_bytes=1 << 30)}) as story:
            root, days = story.root(), story.derivative("days", TUMBLE, "readings", engine="flink")
            for day in (1, 2, 3, 4):
                story.push(root, [reading(day, "A"), reading(day, "B")])
                story.pull(days)
            checkpoints = story.files(days, "checkpoints")

            clean = story.verify(days)
            before = flip(checkpoints[1])
            damaged = story.verify(days)
            checkpoints[1].write_bytes(before + b"!")
            longer = story.verify(days)

            assert len(checkpoints) == 4
            assert (clean.verdict, clean.counts.replays) == (VerdictKind.VALID, 4)
            assert damaged.verdict is VerdictKind.CHECKPOINT_PHYSICAL_HASH_MISMATCH
            assert longer.verdict is VerdictKind.CHECKPOINT_SIZE_MISMATCH
            assert damaged.faults[0].place.file == f"checkpoints/{checkpoints[1].name}"
    finally:
        pool.close()
