"""Verification of datasets that this node made: what it finds, and what it does not mind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.verify.model import (
    BlockInterval,
    Place,
    RemarkKind,
    VerdictKind,
    VerifyOptions,
    VerifyProgress,
    VerifyScope,
)
from kamu_assets.coordinator.verify.running import VerificationCancelledError
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.findings import FindingKind
from kamu_assets.datasets.references import References
from kamu_assets.engines.engine import Engine, TransformRequest, TransformResponse
from kamu_assets.engines.incremental.engine import run_incremental
from kamu_assets.engines.pooled import PooledEngine
from kamu_assets.engines.worker_limits import PoolBusyError, WorkerLimits
from kamu_assets.engines.workers import WorkerPool
from kamu_assets.odf.data import OperationType
from kamu_assets.odf.dataset import AddData, SetInfo
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_block, a_logical_hash
from tests.support.coordination import InThisProcess
from tests.support.heart import ADMIN
from tests.support.replay_derivatives import InlineEngine
from tests.support.verdicts import HashingEngine
from tests.support.verified import VerifiedStory, a_story, flip, flip_harmlessly, reading

SYSTEM = {"offset", "op", "system_time", "event_time"}
COPY = "select event_time, city, degrees from readings"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[VerifiedStory]:
    with a_story(tmp_path) as story:
        yield story


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


def test_the_first_of_several_bad_slices_is_named(story: VerifiedStory) -> None:  # KD-27
    root = story.root()
    blocks = [story.push(root, [reading(day, "A")]) for day in (1, 2, 3, 4)]
    for bad in (2, 1):
        flip(story.files(root)[bad])

    report = story.verify(root)

    assert report.verdict is VerdictKind.DATA_PHYSICAL_HASH_MISMATCH
    assert [fault.place.block for fault in report.faults] == blocks[1:3]
    assert report.first_fault is not None
    assert report.first_fault.place.file == f"data/{story.files(root)[1].name}"
    assert report.first_fault.expected == story.files(root)[1].name
    assert report.first_fault.found not in {None, report.first_fault.expected}


def test_bytes_that_readers_skip_make_a_root_invalid_but_not_a_derivative(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    story.push(root, [reading(1, "A")])
    story.pull(copy)
    for entry in (root, copy):
        flip_harmlessly(story.files(entry)[0])

    assert story.verify(root).verdict is VerdictKind.DATA_PHYSICAL_HASH_MISMATCH
    report = story.verify(copy)
    assert report.is_valid
    assert [remark.kind for remark in report.remarks] == [RemarkKind.REENCODED]


def test_rows_that_are_not_what_the_block_says_are_found_in_a_root_too(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    story.forge(root, logical_hash=a_logical_hash("other rows"))

    assert story.verify(root).verdict is VerdictKind.DATA_LOGICAL_HASH_MISMATCH


def test_offsets_are_looked_for_in_the_file(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A"), reading(1, "B")])
    rows = story.last_rows(root)
    story.forge(root, rows.set_column(0, rows.schema.field(0), pa.array([0, 5], pa.int64())))

    report = story.verify(root)

    assert report.verdict is VerdictKind.DATA_OFFSETS_MISMATCH
    assert "0 to 5" in str(report.first_fault)


@pytest.mark.parametrize(("kept", "told"), [(["offset", "op", "system_time", "event_time", "city"], "degrees")])
def test_columns_are_those_of_the_dataset(story: VerifiedStory, kept: list[str], told: str) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    story.forge(root, story.last_rows(root).select(kept))

    report = story.verify(root)

    assert report.verdict is VerdictKind.DATA_SCHEMA_MISMATCH
    assert f"`{told}`" in str(report.first_fault)


def test_rules_are_applied_again_from_the_seed(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    chain = story.heart.chains.state(root.id)
    head = story.replace_head(root, a_block(SetInfo(), after=chain, system_time=Timestamp(0)))

    report = story.verify(root)

    assert report.verdict is VerdictKind.CHAIN_RULE_BROKEN
    assert report.faults[0].place == Place(chain.sequence_number + 1, head, f"blocks/{head}")


def test_the_chain_is_read_from_files_not_from_the_index(story: VerifiedStory) -> None:
    root = story.root()
    for day in (1, 2):
        story.push(root, [reading(day, "A")])
    missing = story.files(root, "blocks")[2]
    missing.unlink()

    report = story.verify(root)

    assert report.verdict is VerdictKind.BLOCK_NOT_FOUND
    assert report.faults[0].place == Place(2, Multihash.parse(missing.name), f"blocks/{missing.name}")


def test_a_lost_reference_is_told_and_the_rest_is_verified(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    (story.folder(root) / "refs/head").unlink()

    report = story.verify(root)

    assert [fault.kind for fault in report.faults] == [VerdictKind.HEAD_MISMATCH]
    assert "kamu-node doctor" in str(report.first_fault)
    assert report.counts.slices == 1


def test_an_interval_of_blocks_leaves_older_data_alone(story: VerifiedStory) -> None:
    root = story.root()
    first, _, last = [story.push(root, [reading(day, "A")]) for day in (1, 2, 3)]
    flip(story.files(root)[0])

    newer = story.verify(root, VerifyOptions(blocks=BlockInterval(after=first)))
    older = story.verify(root, VerifyOptions(blocks=BlockInterval(until=first)))
    none = story.verify(root, VerifyOptions(blocks=BlockInterval(after=last, until=first)))

    assert (newer.verdict, newer.counts.slices) == (VerdictKind.VALID, 2)
    assert (older.verdict, older.counts.slices) == (VerdictKind.DATA_PHYSICAL_HASH_MISMATCH, 1)
    assert none.verdict is VerdictKind.INVALID_INTERVAL


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


def test_replays_leave_no_files(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    story.push(root, [reading(1, "A")])
    story.pull(copy)

    story.verify(copy)

    assert list(story.heart.volumes.staging(copy.kind).iterdir()) == []


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


def test_older_heads_verify_after_rows_were_taken_back(tmp_path: Path, reference: Path) -> None:  # VC-13
    with a_story(tmp_path) as story:
        recorded = reference / "odf/recorded/snapshot-basic/dataset"
        entry = story.heart.datasets.adopt(ADMIN, recorded, DatasetAlias.parse("kamu/snapshot"))
        data = [found for found in story.heart.chains.blocks(entry.id) if isinstance(found.block.event, AddData)]
        *older, newest = [pq.read_table(path).to_pylist() for path in story.files(entry)]

        at_head = story.verify(entry)
        before = story.verify(entry, VerifyOptions(blocks=BlockInterval(until=data[1].block_hash)))

    readable = [_facts(row) for rows in older for row in rows]
    removed = [_facts(row) for row in newest if row["op"] == OperationType.RETRACT]
    assert removed
    assert all(row in readable for row in removed)
    assert at_head.is_valid
    assert before.is_valid
    assert before.counts.records == len(readable)


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in SYSTEM}


def test_every_flipped_byte_is_noticed(story: VerifiedStory) -> None:
    root, copy = story.root(), story.derivative("copy", COPY, "readings")
    for day in (1, 2):
        story.push(root, [reading(day, "A"), reading(day, "B")])
        story.pull(copy)
    random = Random(2024)
    unnoticed = []

    for entry in (root, copy):
        for path in [*story.files(entry), *story.files(entry, "blocks"), story.folder(entry) / "refs/head"]:
            for at in random.sample(range(path.stat().st_size), 6):
                before = flip(path, at=at)
                report = story.verify(entry)
                if report.is_valid and not report.remarks:
                    unnoticed.append(f"byte {at} of {path}")
                path.write_bytes(before)

    assert unnoticed == []
    assert story.verify(copy, VerifyOptions(recursive=True)).is_valid


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


def test_a_dataset_that_was_deleted_meanwhile_is_not_damaged(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])

    def delete(_: VerifyProgress) -> None:
        if story.folder(root).exists():
            story.heart.datasets.delete(ADMIN, root.id)

    with pytest.raises(DatasetNotFoundError):
        story.verify(root, VerifyOptions(on_progress=delete))


def test_a_dataset_without_any_head_is_not_valid(story: VerifiedStory) -> None:
    root = story.root()
    (story.folder(root) / "refs/head").unlink()
    with story.heart.database.transaction() as tx:
        References().remove(tx, root.id)

    assert story.verify(root).verdict is VerdictKind.HEAD_MISMATCH


@pytest.mark.parametrize("text", [b"others", b"\xff", b"not/an/alias", None])
def test_another_name_in_the_folder_is_told_and_the_doctor_writes_the_right_one(
    story: VerifiedStory, text: bytes | None
) -> None:
    root = story.root()
    file = story.folder(root) / "info/alias"
    file.unlink()
    if text is not None:
        file.write_bytes(text)

    report = story.verify(root)

    assert [(fault.kind, fault.place) for fault in report.faults] == [
        (VerdictKind.ALIAS_MISMATCH, Place(file="info/alias"))
    ]
    assert f"the registry '{root.alias}'" in str(report.first_fault)
    assert any(found.kind is FindingKind.ALIAS and found.repaired for found in story.heart.doctor.repair())
    assert story.verify(root).is_valid


@pytest.mark.parametrize("text", ["f16200000", "not a hash", "x" * 5000, str(Multihash.sha3_256(b"gone"))])
def test_a_reference_that_names_no_block_is_told(story: VerifiedStory, text: str) -> None:
    root = story.root()
    tag = story.folder(root) / "refs/release"
    tag.write_text((story.folder(root) / "refs/head").read_text())
    assert story.verify(root).is_valid

    tag.write_text(text)

    report = story.verify(root)
    assert [(fault.kind, fault.place) for fault in report.faults] == [
        (VerdictKind.REFERENCE_BROKEN, Place(file="refs/release"))
    ]


def test_a_bad_block_is_told_before_a_wrong_name(story: VerifiedStory) -> None:
    root = story.root()
    story.push(root, [reading(1, "A")])
    (story.folder(root) / "info/alias").write_text("others")
    flip(story.files(root)[0])

    kinds = [fault.kind for fault in story.verify(root).faults]

    assert kinds == [VerdictKind.DATA_PHYSICAL_HASH_MISMATCH, VerdictKind.ALIAS_MISMATCH]
