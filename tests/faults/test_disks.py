"""Disks that are full, broken or read-only: a precise error, nothing half there, and all goes on when they are well."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kamu_assets.coordinator.service import PushData
from kamu_assets.durability import Durability
from kamu_assets.errors import UnavailableError
from kamu_assets.storage.errors import StorageFullError
from tests.faults.deaths import FaultPoints, told_by
from tests.faults.stage import Stage
from tests.faults.story import ids, note_rows, prepare, records, ref, steps, wrong_after
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, open_heart

Record = Callable[[str, object], None]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
MIB = 1 << 20


def faulty_story(number: int, code: int, home: Path) -> str | None:
    """The story on a disk that refuses one change; every step is done or refused precisely."""

    def refuse() -> None:
        raise OSError(code, os.strerror(code))

    points = FaultPoints(home, number, refuse)
    heart = open_heart(home, durability=Durability.FULL)
    points.watch()
    wrong = None
    for name, step in steps(home, heart).items():
        try:
            step()
        except UnavailableError as error:
            if code == errno.ENOSPC and not isinstance(error, StorageFullError):
                wrong = f"{name} blames {type(error).__name__}: {error}"
            if name.startswith(("push pushed", "push booked")):
                _, dataset, first = name.split()
                note_rows(home / f"refused-{dataset}", range(int(first), int(first) + 2))
        except Exception as error:  # noqa: BLE001 - any other error is what we look for
            wrong = f"{name} fails with {type(error).__name__}: {error}"
    heart.database.close()
    return wrong


def fault_points(stage: Stage) -> list[str]:
    """Where a disk may refuse something during the story."""
    stage.setting()
    assert told_by(partial(faulty_story, -1, 0), stage.home) is None
    return (stage.home / "passed").read_text().splitlines()


def sweep(stage: Stage, faults: list[tuple[int, int]], record_property: Record) -> None:
    broken = []
    for number, code in faults:
        stage.setting()
        wrong = told_by(partial(faulty_story, number, code), stage.home)
        wrong = wrong or told_by(wrong_after, stage.home)
        if wrong:
            point = (stage.home / "passed").read_text().splitlines()[number - 1]
            broken.append(f"{errno.errorcode[code]} at {number} ({point}): {wrong}")
    record_property("disk errors", len(faults))
    record_property("chains broken by disk errors", len(broken))
    assert broken == []


def test_some_disk_errors(stage: Stage, record_property: Record) -> None:
    points = fault_points(stage)
    chance = random.Random(3)

    numbers = chance.sample(range(1, len(points) + 1), 10)

    sweep(stage, [(number, ERRORS[number % len(ERRORS)]) for number in numbers], record_property)


@pytest.mark.parametrize("name", ["rmdir", "unlink"])
def test_what_cannot_be_cleaned_up_does_not_turn_a_commit_into_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever is told of a failure pushes again, and has the rows twice."""
    prepare(tmp_path)
    heart = open_heart(tmp_path)
    coordinator = a_coordinator(heart, base=tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "refused")

    with monkeypatch.context() as broken:
        broken.setattr(os, name, refuse)
        pushed = coordinator.push(ADMIN, ref("pushed"), PushData(records(range(3))))

    assert pushed.records == 3
    assert ids(heart, "pushed") == [0, 1, 2]
    heart.database.close()


@pytest.mark.faults
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
def test_a_disk_error_at_every_fault_point(stage: Stage, code: int, record_property: Record) -> None:
    """Each point meets one of the errors."""
    points = fault_points(stage)

    numbers = range(1 + ERRORS.index(code), len(points) + 1, len(ERRORS))

    sweep(stage, [(number, code) for number in numbers], record_property)
