"""Processes that commit to one dataset at once: every acknowledged commit is in the chain, once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.errors import ConflictError
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.multihash import Multihash
from tests.integration.commit_processes import acknowledge, acknowledged, start
from tests.support.builders import START
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify

DATASET = an_entry().id
WRITERS = 4
COMMITS = 10


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'node.db'}"


def test_no_acknowledged_commit_is_lost(tmp_path: Path, url: str) -> None:
    heart = open_heart(tmp_path, url=url)
    entry = heart.dataset()

    writers = [start(write, tmp_path, url, writer) for writer in range(WRITERS)]
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    chain = list(heart.chains.blocks(DATASET, newest_first=False))
    done = Counter(acknowledged(tmp_path))
    assert done == Counter(str(found.block_hash) for found in chain[2:])
    assert [found.block.sequence_number for found in chain] == list(range(2 + WRITERS * COMMITS))
    assert len(heart.outbox.read("test")) == 1 + WRITERS * COMMITS
    assert [found.kind for found in heart.doctor.repair(dry_run=True) if found.kind != "unreachable"] == []
    records = verify(Path(heart.datasets.storage_location(entry))).records
    assert records == heart.datasets.summary(ADMIN, DATASET).statistics.records == 3 * WRITERS * COMMITS // 2


def test_of_two_commits_upon_one_head_one_loses(tmp_path: Path, url: str) -> None:
    heart = open_heart(tmp_path, url=url)
    heart.dataset()
    head = heart.chains.head(DATASET)
    heart.add_data(DATASET)

    with pytest.raises(HeadMovedError) as lost:
        heart.committer.commit(DATASET, expected_head=head, events=[SetInfo(description="late")], system_time=START)

    assert lost.value.actual == heart.chains.head(DATASET)


def write(home: Path, url: str, writer: int) -> None:
    """Commit until enough is acknowledged; half of the commits bring data."""
    heart = open_heart(home, url=url)
    left = COMMITS
    while left:
        try:
            head = heart.add_data(DATASET, records=3) if left % 2 else describe(heart, f"{writer} {left}")
        except ConflictError:
            continue
        acknowledge(home, head)
        left -= 1


def describe(heart: Heart, text: str) -> Multihash:
    event = SetInfo(description=text)
    return heart.committer.commit(DATASET, expected_head=None, events=[event], system_time=START).new_head
