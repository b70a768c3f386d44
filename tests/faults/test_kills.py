"""A node is killed at every fault point, and at any time: nothing promised is lost, nothing is half there."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from kamu_assets.datasets.commit.committer import CommitStep
from tests.faults.deaths import Death
from tests.faults.stage import Stage

Record = Callable[[str, object], None]
# Of the long form, spread over a sweep of every fault point and deaths by the clock.
KILLS = 1_000
PARTS = 4


def test_the_story_passes_every_kind_of_fault_point(stage: Stage) -> None:
    points, _ = stage.play()

    assert {f"commit {step}" for step in CommitStep} <= set(points)
    changes = {"open .staging", "os.rename data", "open blocks", "os.rename blocks", "exchange refs", "os.remove refs"}
    assert {"fsync", *changes} - set(points) == set()


def test_some_kills(stage: Stage, record_property: Record) -> None:
    points, took = stage.play()
    chance = random.Random(7)
    numbers = sorted(chance.sample(range(1, len(points) + 1), 12))

    deaths = [stage.killed_at(number) for number in numbers]
    deaths += [stage.killed_after(chance.uniform(0, took)) for _ in range(3)]

    judge(deaths, record_property)


@pytest.mark.faults
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_kills(stage: Stage, part: int, record_property: Record) -> None:
    """Every fault point once, the rest at random times."""
    points, took = stage.play()
    chance = random.Random(part)

    deaths = [stage.killed_at(number) for number in range(1 + part, len(points) + 1, PARTS)]
    while sum(death.point is not None for death, _ in deaths) < KILLS // PARTS:
        deaths.append(stage.killed_after(chance.uniform(0, took)))

    judge(deaths, record_property)


def judge(deaths: list[tuple[Death, str | None]], record_property: Record) -> None:
    broken = [f"{death}: {wrong}" for death, wrong in deaths if wrong]
    record_property("kills", sum(death.point is not None for death, _ in deaths))
    record_property("chains broken by kills", len(broken))
    assert broken == []
