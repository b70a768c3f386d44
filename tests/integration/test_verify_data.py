"""Verification of what is in data slices."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.verify.model import (
    BlockInterval,
    RemarkKind,
    VerdictKind,
    VerifyOptions,
)
from kamu_assets.odf.data import OperationType
from kamu_assets.odf.dataset import AddData
from kamu_assets.odf.identity import DatasetAlias
from tests.support.builders import a_logical_hash
from tests.support.heart import ADMIN
from tests.support.verified import VerifiedStory, a_story, flip, flip_harmlessly, reading

SYSTEM = {"offset", "op", "system_time", "event_time"}

COPY = "select event_time, city, degrees from readings"


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
