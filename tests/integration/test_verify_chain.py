"""Verification of a chain and what lies around it: blocks, references, names."""

from __future__ import annotations

import pytest

from kamu_assets.coordinator.verify.model import (
    BlockInterval,
    Place,
    VerdictKind,
    VerifyOptions,
)
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.doctor.findings import FindingKind
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_block
from tests.support.verified import VerifiedStory, flip, reading


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
