"""The scheduler is killed, or deposed, at every step of its work: no flow is lost, and none has an effect twice."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests.faults.led_story import KilledError, LedStory, prepare
from tests.faults.stage import memory_folder

Told = dict[str, list[tuple[object, ...]]]
Disturb = Callable[[LedStory, str], None]
# Of the short form.
SOME = 5


class Theatre:
    """Where the story is played, each time from the beginning."""

    def __init__(self, folder: Path) -> None:
        self._prepared, self._home = folder / "prepared", folder / "home"
        self._prepared.mkdir()
        prepare(self._prepared)

    def play(self, disturb: Disturb) -> Told:
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.copytree(self._prepared, self._home)
        story = LedStory(self._home, disturb)
        story.play()
        return story.told()


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    folder = Path(tempfile.mkdtemp(prefix="kamu-schedulers-", dir=memory_folder()))
    # To print what is in all frames of each error takes longer than the story.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield Theatre(folder)
    structlog.reset_defaults()
    shutil.rmtree(folder)


def at(number: int, act: Disturb) -> Disturb:
    """Do something at the n-th point."""
    passed = 0

    def disturb(story: LedStory, point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            act(story, point)

    return disturb


def kill(_story: LedStory, point: str) -> None:
    raise KilledError(point)


def depose(story: LedStory, _point: str) -> None:
    """Another one has led for a while when it goes on."""
    story.take_over()


def points_of(theatre: Theatre) -> tuple[list[str], Told]:
    points: list[str] = []
    told = theatre.play(lambda _, point: points.append(point))
    return points, told


def judge(theatre: Theatre, part: int, parts: int) -> None:
    """Every n-th point, from one on."""
    points, told = points_of(theatre)
    wrong = []
    for number in range(1 + part, len(points) + 1, parts):
        point = points[number - 1]
        if theatre.play(at(number, kill)) != told:
            wrong.append(f"killed {point}, the {number}th")
        # Another one's transaction would wait for the end of ours, as it should.
        if not point.startswith("in") and theatre.play(at(number, depose)) != told:
            wrong.append(f"deposed {point}, the {number}th")
    assert wrong == []


def test_the_story_passes_every_kind_of_point(theatre: Theatre) -> None:
    points, told = points_of(theatre)

    places = {f"{when} a run {what}" for when, what in WHEN}
    assert set(points) == {"before a transaction", "in a transaction", "after a transaction", *places}
    ends = {name: [flow[1] for flow in flows] for name, flows in told.items() if name != "effects"}
    assert ends == {
        "root": [],
        "reader": ["SUCCESS", "SUCCESS"],
        "dying": ["SUCCESS"],
        "canceled": ["ABORTED"],
        "failing": ["FAILED"],
        "silent": ["SUCCESS"],
        "timed": ["SUCCESS", "ABORTED"],
    }


WHEN = (("before", "is made"), ("after", "was made"), ("before", "is canceled"), ("after", "was canceled"))


def test_some_ends_of_a_scheduler(theatre: Theatre) -> None:
    points, _ = points_of(theatre)

    judge(theatre, 2, max(1, len(points) // SOME))


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_every_end_of_a_scheduler(theatre: Theatre) -> None:
    judge(theatre, 0, 1)
