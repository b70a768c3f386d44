"""Chains are replaced alike on every database, and losers of a race leave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import Reorganized
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import RewriteKind
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.verifier.dataset import verify


@pytest.fixture
def heart(migrated_url: str, tmp_path: Path) -> Iterator[Heart]:
    heart = open_heart(tmp_path, url=migrated_url)
    yield heart
    heart.database.close()


def test_compacted_reset_emptied_and_swept(heart: Heart) -> None:
    entry = heart.dataset()
    heads = [heart.add_data(entry.id) for _ in range(4)]
    reorganization = a_reorganization(heart)

    reset = reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[2]))
    compacted = reorganization.compact(ADMIN, entry.id)
    assert heart.datasets.summary(ADMIN, entry.id).statistics.records == 30
    assert verify(Path(heart.datasets.storage_location(entry))).records == 30
    emptied = reorganization.reset_to_metadata(ADMIN, entry.id)

    done = [each for each in (reset, compacted, emptied) if isinstance(each, Reorganized)]
    assert [(each.original_blocks, each.resulting_blocks) for each in done] == [(6, 5), (5, 3), (3, 2)]
    with heart.database.reading() as tx:
        former = FormerHeads().all(tx, entry.id)
    assert {each.how for each in former} == set(RewriteKind)
    collection = GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)
    assert collection.collect(ADMIN, entry.id, CollectOptions(grace_seconds=0)).removed > 0
    heart.add_data(entry.id)
    assert heart.doctor.repair(dry_run=True) == []


def test_who_saw_another_head_changes_nothing(heart: Heart) -> None:
    entry = heart.dataset()
    first, second = heart.add_data(entry.id), heart.add_data(entry.id)
    before = heart.datasets.summary(ADMIN, entry.id)

    with pytest.raises(HeadMovedError):
        a_reorganization(heart).reset(ADMIN, entry.id, ResetOptions(new_head=first, old_head=first))

    assert before.head == second
    assert heart.datasets.summary(ADMIN, entry.id) == before
