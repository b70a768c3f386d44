"""Processes that come and go, and who asks them for their metrics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kamu_assets.monitoring.exchange import collected, offered
from kamu_assets.monitoring.families import Family, gauge

_PROGRAM = """
import sys, time
from pathlib import Path
from kamu_assets.monitoring.exchange import offered
from kamu_assets.monitoring.families import gauge
with offered(Path(sys.argv[1]), "worker", lambda: [gauge("x", "of a test", 1.0)]):
    print("ready", flush=True)
    time.sleep(600)
"""


@contextmanager
def a_worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        try:
            yield worker
        finally:
            worker.kill()


def test_each_process_is_asked_under_a_name_of_its_own(tmp_path: Path) -> None:
    with offered(tmp_path, "worker", lambda: [gauge("x", "of a test", 1.0)]):
        with offered(tmp_path, "worker", lambda: [gauge("x", "of a test", float("inf"))]):
            assert _values(tmp_path) == {"worker": 1.0, "worker-2": float("inf")}

        assert _values(tmp_path) == {"worker": 1.0}

    assert list(tmp_path.iterdir()) == []


def test_the_dead_leave_one_file_however_often_they_die(tmp_path: Path) -> None:
    for _ in range(3):
        with a_worker(tmp_path):
            assert _values(tmp_path) == {"worker": 1.0}

        assert _values(tmp_path) == {"worker": None}


def test_a_process_that_hangs_keeps_nobody_waiting_for_ever(tmp_path: Path) -> None:
    with a_worker(tmp_path) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)

        assert _values(tmp_path) == {"worker": None}


def test_a_failing_answer_is_not_the_last_one(tmp_path: Path) -> None:
    asked: list[int] = []

    def families() -> list[Family]:
        asked.append(1)
        if len(asked) == 1:
            raise ZeroDivisionError
        return [gauge("x", "of a test", 2.0)]

    with offered(tmp_path, "worker", families):
        assert [_values(tmp_path), _values(tmp_path)] == [{"worker": None}, {"worker": 2.0}]


def test_folders_may_have_long_names(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)

    with offered(folder, "scheduler", lambda: [gauge("x", "of a test", 1.0)]):
        assert _values(folder) == {"scheduler": 1.0}


def _values(folder: Path) -> dict[str, float | None]:
    found = collected(folder).items()
    return {process: None if families is None else families[0].samples[0].value for process, families in found}
