"""Runs a subject in a fresh child process and watches its memory."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import pickle
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.bench.subject import Environment, Run, Subject
from tests.support.process_tree import all_processes, descendants, memory_of

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
TIMEOUT_SECONDS = 900.0
MB = 1_000_000
_LOOK_SECONDS = 0.05
_KEPT_BYTES = 64_000_000


class MissingSubjectError(Exception):
    """The subject, or a library it needs, is not installed."""


class FailedJobError(Exception):
    """The subject broke, or its result was wrong: its time does not count."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A run whose result was proven right."""

    run: Run
    versions: Mapping[str, str]


def run_job(subject: Subject) -> Ran:
    """Run it once."""
    python = _python(subject)
    with _place() as folder, _Child.start(python, folder, subject.variables) as child:
        child.send(pickle.dumps(subject))
        peak = child.watch()
        told = child.hear()
    if "missing" in told:
        raise MissingSubjectError(told["missing"])
    if "failed" in told:
        raise FailedJobError(f"{subject.name}: {told['failed']}")
    return Ran(Run(**told["took"], rss_mb=peak), told["versions"])


@contextlib.contextmanager
def _place() -> Iterator[str]:
    """A folder for one job. A small one is removed after the last job.

    On some file systems (ext4 without a journal) making files takes longer for minutes after many were removed.
    """
    folder = tempfile.mkdtemp(prefix="kamu-bench-")
    try:
        yield folder
    finally:
        if _size(Path(folder)) < _KEPT_BYTES:
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> float:
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:
        # A worker that has outlived the job still clears up.
        return math.inf


def _python(subject: Subject) -> str:
    if subject.environment is Environment.NODE:
        return sys.executable
    if not PEERS_PYTHON.exists():
        raise MissingSubjectError(f"no environment for peers: {PEERS_PYTHON.parents[1].name}")
    return str(PEERS_PYTHON)


class _Child:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._deadline = time.monotonic() + TIMEOUT_SECONDS
        self._heard = b""
        self._last: dict[str, Any] = {}

    @classmethod
    def start(cls, python: str, folder: str, variables: Mapping[str, str]) -> Self:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        command = [python, "-m", "tests.bench.child", folder]
        return cls(subprocess.Popen(command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message)
        self._process.stdin.close()
        self._process.stdin = None

    def watch(self) -> float:
        """Until the job is done, the most memory that it and its children held together, in MB."""
        told = self._said()
        peak = 0
        while "ready" in told:
            peak = max(peak, self._resident())
            told = self._line(_LOOK_SECONDS) or told
        self._last = told
        return max(peak, self._resident()) / MB

    def hear(self) -> dict[str, Any]:
        """The child's last word."""
        return self._said() if "done" in self._last else self._last

    def _said(self) -> dict[str, Any]:
        told = self._line(None)
        assert told is not None
        return told

    def _line(self, wait: float | None) -> dict[str, Any] | None:
        """What the child says next; None if that is not soon enough."""
        assert self._process.stdout is not None
        while b"\n" not in self._heard:
            if time.monotonic() > self._deadline:
                return {"failed": f"took more than {TIMEOUT_SECONDS:g} s"}
            if not select.select([self._process.stdout], [], [], wait or 1.0)[0]:
                if wait is None:
                    continue
                return None
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                return {"failed": f"the process ended with {self._process.wait()}"}
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _resident(self) -> int:
        pid = self._process.pid
        family = [pid, *(stat.pid for stat in descendants(pid, all_processes()))]
        return sum(memory_of(one).rss for one in family)
