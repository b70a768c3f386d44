"""`kamu-node flow log`."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import PROGRAM, Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Its flows wait for a node to run them."""
    return home_with_lineage(tmp_path_factory.mktemp("flowing"))


def live_flow(home: Home) -> str:
    return str(home.json("flow", "run", "raw", "--type", "verify")["flowId"])


@contextlib.contextmanager
def following(home: Home, flow: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has printed the first line and waits for more."""
    command = [*PROGRAM, "flow", "log", flow, "--follow", "--home", str(home.path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"created, cause: manual" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_flow_that_waits_tells_why(home: Home) -> None:
    assert "flow    created, cause: manual" in home.ok("flow", "log", live_flow(home))


def test_scripts_go_on_behind_the_last_line(home: Home) -> None:
    flow = live_flow(home)
    lines = home.json("flow", "log", flow)

    assert {*lines[0]} == {"at", "channel", "level", "attempt", "text", "cursor"}
    assert home.json("flow", "log", flow, "--after", lines[0]["cursor"]) == lines[1:]
    assert home.json("flow", "log", flow, "--after", lines[-1]["cursor"]) == []
    assert "no place in the log" in home.refusal("flow", "log", flow, "--after", "yesterday")


def test_the_log_of_a_flow_that_ended_ends(home: Home) -> None:
    flow = live_flow(home)
    home.ok("flow", "cancel", flow)

    lines = [json.loads(line) for line in home.ok("flow", "log", flow, "--follow", "--json").splitlines()]

    assert lines[-1]["text"] == "aborted"
    assert "had 0 attempts" in home.refusal("flow", "log", flow, "--attempt", "1")


def test_ctrl_c_ends_it_without_a_word(home: Home) -> None:
    with following(home, live_flow(home)) as process:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=200)

    assert (process.returncode, told) == (130, b"")


def test_it_ends_when_nobody_reads(home: Home) -> None:
    with following(home, live_flow(home)) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=200)
        told = process.stderr.read() if process.stderr is not None else b""

    assert (process.returncode, told) == (0, b"")
