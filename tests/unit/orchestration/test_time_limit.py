"""The watch beside a run: it interrupts once, only while the run lasts, and does not take no for an answer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from kamu_assets.orchestration.workers.time_limit import TimeLimit, Watch


def nothing(_reason: str) -> None:
    """Nobody wants to know."""


def watch(seconds: float) -> Watch:
    return Watch(TimeLimit(seconds, "this test"), tell=nothing)


def test_what_takes_too_long_is_interrupted() -> None:
    watched = watch(0.05)

    with pytest.raises(KeyboardInterrupt), watched:
        time.sleep(60)

    assert watched.expired


def test_what_ends_in_time_is_left_alone() -> None:
    with watch(0.2) as watched:
        pass
    time.sleep(0.3)

    assert not watched.expired


def test_any_number_of_seconds_can_be_waited_for() -> None:
    with watch(1e300) as watched:
        time.sleep(0.05)

    assert not watched.expired


def test_the_reason_is_told_first_and_whatever_becomes_of_that_the_run_is_stopped() -> None:
    told: list[str] = []

    def tell(reason: str) -> None:
        told.append(reason)
        raise OSError("nobody there")

    with pytest.raises(KeyboardInterrupt), Watch(TimeLimit(0.05, "this test"), tell=tell):
        time.sleep(60)

    assert told == [TimeLimit(0.05, "this test").message]


def test_a_run_that_does_not_listen_ends_with_its_process() -> None:
    code = (
        "import signal, time\n"
        "from kamu_assets.orchestration.workers.time_limit import TimeLimit, Watch\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with Watch(TimeLimit(0.05, 'this test'), tell=print, grace=0.05):\n"
        "    time.sleep(60)\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert ended.returncode == -signal.SIGKILL


def test_a_run_that_ends_while_it_is_stopped_takes_nothing_with_it() -> None:
    code = (
        "import time\n"
        "from kamu_assets.orchestration.workers.time_limit import TimeLimit, Watch\n"
        "try:\n"
        "    with Watch(TimeLimit(0.05, 'this test'), tell=lambda _: time.sleep(0.5), grace=0.05):\n"
        "        time.sleep(0.2)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(0.5)\n"
        "    print('goes on')\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert (ended.returncode, ended.stdout) == (0, b"goes on\n"), ended.stderr
