"""Processes that commit and die: forked, so that hundreds of deaths take seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

from kamu_assets.datasets.commit import CommitStep
from tests.support.heart import Heart, open_heart

Work = Callable[[Heart], None]
_FORK = multiprocessing.get_context("fork")


def start(work: Callable[..., None], *arguments: object) -> multiprocessing.process.BaseProcess:
    process = _FORK.Process(target=work, args=arguments)
    process.start()
    return process


def dies_at(step: int, home: Path, work: Callable[[Path, Callable[[CommitStep], None]], None]) -> CommitStep | None:
    """Do some work in a process that is killed at its n-th step; tells which one that was, or that all was done."""
    passed = home / "passed"
    passed.write_text("")
    process = start(_work_until, step, passed, home, work)
    process.join()
    if process.exitcode == 0:
        return None
    assert process.exitcode == -signal.SIGKILL, f"the process failed: {process.exitcode}"
    return CommitStep(passed.read_text().split()[-1])


def _work_until(
    step: int, passed: Path, home: Path, work: Callable[[Path, Callable[[CommitStep], None]], None]
) -> None:
    left = step

    def count(at: CommitStep) -> None:
        nonlocal left
        with passed.open("a") as file:
            file.write(f"{at}\n")
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    work(home, count)


def acknowledge(home: Path, head: object) -> None:
    """Note, for the parent to see, that a commit was reported as done."""
    with (home / "acknowledged").open("a") as file:
        file.write(f"{head}\n")


def acknowledged(home: Path) -> list[str]:
    path = home / "acknowledged"
    return path.read_text().split() if path.exists() else []


__all__ = ["Heart", "acknowledge", "acknowledged", "dies_at", "open_heart", "start"]
