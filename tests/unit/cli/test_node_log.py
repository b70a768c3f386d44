"""The one log of all processes."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_api.cli.node.node_log import NodeLog


class FullDisk(io.FileIO):
    """Takes a part of a line and then nothing, while `full`."""

    full = True
    room = 12

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # the log writes bytes only
        if not FullDisk.full:
            return super().write(data)
        if self.room == 0:
            raise OSError(28, "No space left on device")
        self.room, room = 0, self.room
        return super().write(data[:room])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[NodeLog]:
    log = NodeLog(tmp_path / "log" / "node.log", max_bytes=500)
    yield log
    log._file.close()


def said(log: NodeLog) -> list[str]:
    return [line.partition("Z ")[2] for line in log.path.read_text().splitlines() if "Z " in line]


def test_a_full_disk_costs_lines_and_nothing_else(log: NodeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.say("api", "before")
    monkeypatch.setattr(FullDisk, "full", True)
    log._file.close()
    log._file = FullDisk(log.path, "ab")

    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\nthree\n")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        log.follow("worker", stream)
    monkeypatch.setattr(FullDisk, "full", False)
    log.say("api", "after")

    assert said(log) == [
        "api        | before",
        "supervisor | 3 lines are lost: the disk took none",
        "api        | after",
    ]


def test_a_full_log_is_put_aside(log: NodeLog) -> None:
    for number in range(20):
        log.say("api", f"line {number:02} {'x' * 30}")

    old = log.path.with_suffix(".log.1").read_text()
    assert len(old) < 700
    assert said(log)[-1].startswith("api        | line 19")


def test_a_log_that_somebody_took_away_goes_on(log: NodeLog) -> None:
    log.say("api", "x" * 600)
    log.path.unlink()
    log.say("api", "again")

    assert said(log) == ["api        | again"]


def test_objects_for_machines_whatever_a_process_says(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "node.log", as_json=True)

    log.say("worker-2", '{"event": "run_ended", "process": "worker", "level": "warning", "timestamp": "T"}')
    log.say("webserver", "plain words")
    log.say("webserver", "{broken")

    events = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert events[0] == {"event": "run_ended", "process": "worker-2", "level": "warning", "timestamp": "T"}
    assert [(event["event"], event["process"]) for event in events[1:]] == [
        ("plain words", "webserver"),
        ("{broken", "webserver"),
    ]
    assert all(event["timestamp"] for event in events)
    log._file.close()


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_of_processes_that_are_not_ours_are_hidden(tmp_path: Path, *, as_json: bool) -> None:
    said: list[str] = []
    log = NodeLog(tmp_path / "node.log", as_json=as_json, console=said.append, secrets=["correct horse"])

    log.say("daemon", "postgresql://kamu:hunter2@db is not there, nor is correct horse")

    assert "postgresql://kamu:•••@db is not there, nor is •••" in log.path.read_text()
    assert not any("hunter2" in line or "correct" in line for line in said)
    log._file.close()


def test_events_have_one_time_and_one_name_for_people(log: NodeLog) -> None:
    event = {"event": "run_ended", "level": "info", "timestamp": "2026-01-02T03:04:05.678901Z", "process": "worker"}
    log.say("worker-1", json.dumps({**event, "rows": 3, "outcome": "SUCCESS", "reason": "it is so"}))
    log.say("worker-1", json.dumps({**event, "level": "error", "exception": "Traceback\n  here"}))

    assert log.path.read_text().splitlines() == [
        "2026-01-02T03:04:05.678Z worker-1   | run_ended rows=3 outcome=SUCCESS reason='it is so'",
        "2026-01-02T03:04:05.678Z worker-1   | error: run_ended",
        "Traceback",
        "  here",
    ]


def test_colours_are_left_out(log: NodeLog) -> None:
    log.say("daemon", "\x1b[32m2026\x1b[0m - \x1b[34mWARNING\x1b[0m - look")

    assert said(log) == ["daemon     | 2026 - WARNING - look"]
