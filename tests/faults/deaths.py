"""Processes that are killed at their n-th change of a file, at a step of a commit, or after some time.

They are forked by a server that has everything imported and runs nothing: whoever has used an engine has threads, and
must not fork.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import structlog

from kamu_assets.datasets.commit.committer import CommitStep
from kamu_assets.storage import files as storage_files
from kamu_assets.storage.files import Place

OnStep = Callable[[CommitStep], None]
Work = Callable[[Path, OnStep], None]
_FORK = multiprocessing.get_context("forkserver")
# With what jobs would import when they begin, which takes as long as the rest of the story.
_FORK.set_forkserver_preload(
    [
        "tests.faults.story",
        "tests.faults.test_disks",
        "tests.faults.test_races",
        "kamu_assets.coordinator.ingest.slice_job",
        "kamu_assets.coordinator.ingest.explain.blame",
        "dateutil.relativedelta",
        "numpy.ma",
        "pyarrow.dataset",
    ]
)
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


@dataclass(frozen=True)
class Death:
    """Where a process was killed; None as its point when it had done everything before."""

    number: int
    point: str | None


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FaultPoints:
    """Counts the moments at which a process may die, and dies at one of them or meets another fault."""

    def __init__(self, home: Path, fails_at: int, fail: Callable[[], None] = _die) -> None:
        self._home = str(home)
        self._left = fails_at
        self._fail = fail
        self._log = (home / "passed").open("w")
        # Writing down a point must not count as one.
        self._inside = threading.local()

    def watch(self) -> None:
        sys.addaudithook(self._audit)
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            self.passes("fsync")
            sync(descriptor)

        os.fsync = fsync  # type: ignore[assignment] # ours are called with descriptors only
        exchange = storage_files._exchanged

        def exchanged(one: Place, other: Place) -> bool:
            self.passes(f"exchange {_place(Path(other))}")
            return exchange(one, other)

        # No call of Python, so nothing else tells of it.
        storage_files._exchanged = exchanged

    def passes(self, point: str) -> None:
        if getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            self._left -= 1
            self._log.write(f"{point}\n")
            self._log.flush()
            if self._left == 0:
                self._fail()
        finally:
            self._inside.busy = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and _writes(arguments)):
            path = str(arguments[1] if event == "os.rename" else arguments[0])
            # Names relative to an open folder count too: cleaning up uses them. The story's own notes lie in the home.
            inside = path.startswith(self._home) and Path(path).parent != Path(self._home)
            if inside or not path.startswith("/"):
                self.passes(f"{event} {_place(Path(path))}")


def killed_at(number: int, home: Path, work: Work) -> Death:
    """Do some work in a process that is killed at its n-th fault point."""
    process = start(_work_until, number, home, work)
    process.join()
    if process.exitcode == 0:
        return Death(number, None)
    assert process.exitcode == -signal.SIGKILL, f"the process failed with {process.exitcode}"
    return Death(number, (home / "passed").read_text().splitlines()[-1])


def killed_after(seconds: float, home: Path, work: Work) -> Death:
    """The same, at whatever it does after so many seconds."""
    process = start(_work_until, -1, home, work)
    process.join(seconds)
    process.kill()
    process.join()
    return Death(0, None if process.exitcode == 0 else "in time")


def told_by(question: Callable[[Path], str | None], home: Path) -> str | None:
    """What a process of its own answers about a home."""
    answer = home / "answer"
    process = start(_answer, question, home, answer)
    process.join()
    if process.exitcode != 0:
        return f"looking at it ended with {process.exitcode}"
    return answer.read_text() or None


def start(work: Callable[..., None], *arguments: object) -> BaseProcess:
    process = _FORK.Process(target=work, args=arguments)
    process.start()
    return process


def acknowledge(home: Path, head: object) -> None:
    """Note, for others to see, that a commit was reported as done."""
    with (home / "acknowledged").open("a") as file:
        file.write(f"{head}\n")


def acknowledged(home: Path) -> list[str]:
    path = home / "acknowledged"
    return path.read_text().split() if path.exists() else []


def _be_quiet() -> None:
    """Log nothing: to print what is in all frames of each injected error takes longer than the story."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _work_until(number: int, home: Path, work: Work) -> None:
    _be_quiet()
    points = FaultPoints(home, number)
    points.watch()
    work(home, lambda step: points.passes(f"commit {step}"))


def _answer(question: Callable[[Path], str | None], home: Path, answer: Path) -> None:
    _be_quiet()
    try:
        told = question(home)
    except Exception:  # noqa: BLE001 - whatever it is, the parent tells it
        told = traceback.format_exc()
    answer.write_text(told or "")


def _place(path: Path) -> str:
    """The folder, by a name that is the same in every run."""
    return ".staging" if ".staging" in path.parts else path.parent.name


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, mode, flags = arguments
    if not isinstance(path, str | os.PathLike):
        return False
    return bool(flags & (os.O_WRONLY | os.O_RDWR)) if mode is None else any(letter in mode for letter in "wxa+")
