"""Processes that come and go, and who asks them for their metrics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from kamu_assets.monitoring.exchange import collected, offered
from kamu_assets.monitoring.families import Family, Sample, gauge

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


def test_what_was_counted_goes_to_the_next_in_the_place(tmp_path: Path) -> None:
    def counted(value: float, kind: str = "counter") -> list[Family]:
        samples = [Sample("runs_total", {"kind": kind}, value), Sample("runs_total", {"kind": "other"}, 1.0)]
        return [Family("runs", "of a test", "counter", samples), gauge("x", "of a test", value)]

    with offered(tmp_path, "worker", lambda: counted(3.0)):
        pass
    with offered(tmp_path, "worker", lambda: counted(4.0)):
        (second,) = collected(tmp_path).values()
    with offered(tmp_path, "worker", lambda: counted(5.0, kind="new")):
        (third,) = collected(tmp_path).values()

    assert _lines(second) == {"counter": 7.0, "other": 2.0, None: 4.0}
    assert _lines(third) == {"counter": 7.0, "other": 3.0, "new": 5.0, None: 5.0}


def test_whoever_is_killed_leaves_nothing_and_takes_nothing_twice(tmp_path: Path) -> None:
    def counted(value: float) -> list[Family]:
        return [Family("runs", "of a test", "counter", [Sample("runs_total", {}, value)])]

    with offered(tmp_path, "worker", lambda: counted(3.0)):
        pass
    with a_worker(tmp_path):
        pass
    with offered(tmp_path, "worker", lambda: counted(1.0)):
        assert _values(tmp_path) == {"worker": 1.0}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"[[1,2]]"])
def test_counts_that_cannot_be_read_are_forgotten(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "worker.left").write_bytes(content)

    with offered(tmp_path, "worker", lambda: [gauge("x", "of a test", 1.0)]):
        assert _values(tmp_path) == {"worker": 1.0}


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


def _lines(families: Sequence[Family] | None) -> dict[str | None, float]:
    return {one.labels.get("kind"): one.value for each in families or () for one in each.samples}


def _values(folder: Path) -> dict[str, float | None]:
    found = collected(folder).items()
    return {process: None if families is None else families[0].samples[0].value for process, families in found}
