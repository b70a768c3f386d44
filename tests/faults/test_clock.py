"""Clocks that go back: a chain's times never do, and nobody loses data."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from kamu_assets.coordinator.moments import ClockBehindError
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.odf.chain_errors import SystemTimeIsNotMonotonicError
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.timestamp import Timestamp
from tests.faults.aftermath import violation_in
from tests.faults.story import ids, prepare, records, ref
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.inline_engine import InlineEngine

CORRECTED = -30.0
WRONG = -86_400.0


def times_of(heart: Heart, name: str) -> list[int]:
    entry = heart.datasets.resolve(ADMIN, ref(name))
    return [found.block.system_time.ns for found in heart.chains.blocks(entry.id, newest_first=False)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def coordinator_of(heart: Heart, home: Path) -> Coordinator:
    return a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})


def test_times_of_a_chain_never_go_back(home: Path) -> None:
    heart = open_heart(home)
    coordinator = coordinator_of(heart, home)

    for number, seconds in enumerate((0.0, 7.0, CORRECTED, 1.0, CORRECTED, 60.0)):
        heart.clock.advance(seconds)
        coordinator.push(ADMIN, ref("pushed"), PushData(records(range(number, number + 1))))
        coordinator.pull(ADMIN, ref("doubled"))
    coordinator.pull(ADMIN, ref("polled"))

    for name in ("pushed", "doubled", "polled"):
        assert all(before <= after for before, after in pairwise(times_of(heart, name)))
    assert sorted(ids(heart, "doubled")) == ids(heart, "pushed") == list(range(6))
    heart.database.close()
    assert violation_in(home) is None


def test_a_clock_that_is_wrong_by_far_is_told_and_changes_nothing(home: Path) -> None:
    heart = open_heart(home)
    coordinator = coordinator_of(heart, home)
    coordinator.push(ADMIN, ref("pushed"), PushData(records(range(2))))
    heads = [found.head for found in heart.datasets.summaries(ADMIN)]
    heart.clock.advance(WRONG)

    for work in (
        lambda: coordinator.push(ADMIN, ref("pushed"), PushData(records(range(2, 4)))),
        lambda: coordinator.pull(ADMIN, ref("polled")),
        lambda: coordinator.pull(ADMIN, ref("doubled")),
    ):
        with pytest.raises(ClockBehindError, match="set the clock"):
            work()

    assert [found.head for found in heart.datasets.summaries(ADMIN)] == heads
    heart.clock.advance(-WRONG)
    assert coordinator.push(ADMIN, ref("pushed"), PushData(records(range(2, 4)))).records == 2
    coordinator.pull(ADMIN, ref("doubled"))
    assert sorted(ids(heart, "doubled")) == list(range(4))
    heart.database.close()


def test_a_node_that_starts_with_an_older_clock_goes_on(home: Path) -> None:
    heart = open_heart(home)
    heart.clock.advance(-CORRECTED)
    coordinator_of(heart, home).push(ADMIN, ref("pushed"), PushData(records(range(1))))
    told = heart.outbox.read("listener")
    heart.database.close()

    again = open_heart(home)
    assert again.clock.now() == START
    coordinator_of(again, home).push(ADMIN, ref("pushed"), PushData(records(range(1, 2))))

    assert again.outbox.read("listener")[: len(told)] == told
    assert len(again.outbox.read("listener")) == len(told) + 1
    assert ids(again, "pushed") == [0, 1]
    again.database.close()
    assert violation_in(home) is None


def test_a_commit_may_not_be_older_than_its_chain(home: Path) -> None:
    heart = open_heart(home)
    entry = heart.datasets.resolve(ADMIN, ref("pushed"))
    head = heart.chains.head(entry.id)
    late = Timestamp.from_millis(START.millis - 1)

    with pytest.raises(SystemTimeIsNotMonotonicError):
        heart.committer.commit(entry.id, expected_head=head, events=[SetInfo(description="x")], system_time=late)

    assert heart.chains.head(entry.id) == head
    heart.database.close()
