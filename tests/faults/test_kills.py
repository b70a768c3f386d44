"""A node is killed at every fault point, and at any time: nothing promised is lost, nothing is half there."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamu_assets.datasets.commit import CommitStep
from tests.faults.deaths import Death, killed_after, killed_at, start, told_by
from tests.faults.story import prepare, story, wrong_after
from tests.faults.test_crash_prefixes import memory_folder

Record = Callable[[str, object], None]
# Of the long form, spread over a sweep of every fault point and deaths by the clock.
KILLS = 1_000
PARTS = 4


class Stage:
    """Homes in which the story is played, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.home = folder / "home"

    def setting(self) -> None:
        """A fresh home. Always the same path: manifests of the story name it."""
        shutil.rmtree(self.home, ignore_errors=True)
        prepared = self._folder / "prepared"
        if not prepared.exists():
            self.home.mkdir()
            process = start(prepare, self.home)
            process.join()
            assert process.exitcode == 0
            self.home.rename(prepared)
        shutil.copytree(prepared, self.home)

    def killed_at(self, number: int) -> tuple[Death, str | None]:
        """Where the story ended, and what was wrong afterwards."""
        self.setting()
        return killed_at(number, self.home, story), told_by(wrong_after, self.home)

    def killed_after(self, seconds: float) -> tuple[Death, str | None]:
        self.setting()
        return killed_after(seconds, self.home, story), told_by(wrong_after, self.home)

    def play(self) -> tuple[list[str], float]:
        """The fault points of the whole story, and how long it takes."""
        self.setting()
        began = time.monotonic()
        assert killed_at(-1, self.home, story).point is None
        took = time.monotonic() - began
        assert told_by(wrong_after, self.home) is None
        return (self.home / "passed").read_text().splitlines(), took


@pytest.fixture
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="kamu-kills-", dir=memory_folder()))
    yield Stage(folder)
    shutil.rmtree(folder)


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
