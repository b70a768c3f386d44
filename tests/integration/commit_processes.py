"""Processes that commit and die at a step of it: forked, so that hundreds of deaths take seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from kamu_assets.datasets.commit.committer import CommitStep
from tests.faults.deaths import acknowledge, acknowledged, start

OnStep = Callable[[CommitStep], None]


def dies_at(step: int, home: Path, work: Callable[[Path, OnStep], None]) -> CommitStep | None:
    """Do some work in a process that is killed at its n-th step; tells which one that was, or that all was done."""
    passed = home / "passed"
    passed.write_text("")
    process = start(_work_until, step, passed, home, work)
    process.join()
    if process.exitcode == 0:
        return None
    assert process.exitcode == -signal.SIGKILL, f"the process failed: {process.exitcode}"
    return CommitStep(passed.read_text().split()[-1])


def _work_until(step: int, passed: Path, home: Path, work: Callable[[Path, OnStep], None]) -> None:
    left = step

    def count(at: CommitStep) -> None:
        nonlocal left
        with passed.open("a") as file:
            file.write(f"{at}\n")
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    work(home, count)


__all__ = ["acknowledge", "acknowledged", "dies_at", "start"]
