"""In which order a leader does its work, and what becomes of it when a part fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kamu_assets.clock import SystemClock
from kamu_assets.database.outbox import WAKEUP
from kamu_assets.database.wakeups import Listener, Wakeups
from kamu_assets.errors import UnavailableError
from kamu_assets.orchestration.scheduler import led_work
from kamu_assets.orchestration.scheduler.led_work import LedWork, Shift
from tests.support.waiting import wait_until

CHECKS = ("requeue_stranded", "end_silent", "bury_lost", "reconcile", "tell_who_waits", "tell")


@dataclass
class Leader:
    """Notes what the thread of flows does; `acts` are done meanwhile, by name."""

    wakeups: Wakeups
    done: list[str] = field(default_factory=list)
    acts: dict[str, Callable[[], object]] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self._do(name)

    def _do(self, name: str) -> None:
        self.done.append(name)
        self.acts.get(name, list)()

    @contextmanager
    def working(self) -> Iterator[Shift]:
        anything, quiet = cast("Any", self), cast("Any", _Quiet())
        work = LedWork(
            scheduler=anything,
            reaper=anything,
            waits=anything,
            catalog=quiet,
            reports=quiet,
            chores=(lambda: self._do("chores"), lambda: self._do("more chores")),
        )
        with Shift(work, wakeups=self.wakeups, clock=SystemClock()) as shift:
            yield shift


class _Quiet:
    def load(self) -> None: ...

    def step(self) -> bool:
        return False


@pytest.fixture
def leader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leader:
    # Each check is done once.
    monkeypatch.setattr(led_work, "CHECK_SECONDS", 3600.0)
    monkeypatch.setattr(led_work, "STRANDED_CHECK_SECONDS", 7200.0)
    return Leader(Wakeups(tmp_path))


def test_flows_that_somebody_asks_for_begin_between_two_checks(leader: Leader) -> None:
    leader.acts["bury_lost"] = lambda: leader.wakeups.notify(WAKEUP)

    with leader.working():
        wait_until(lambda: "tell" in leader.done)

    done = [each for each in leader.done if "chores" not in each]
    assert done == ["step", *CHECKS[:3], "step", *CHECKS[3:]]


def test_a_step_that_failed_is_done_again_at_once(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_twice() -> None:
        if leader.done.count("step") < 3:
            raise UnavailableError("away")

    monkeypatch.setattr(led_work, "FAILED_SECONDS", 0.01)
    leader.acts["step"] = fail_twice

    with leader.working():
        wait_until(lambda: leader.done.count("step") == 3)


def test_chores_keep_no_flow_waiting(leader: Leader) -> None:
    begun, over = threading.Event(), threading.Event()

    def take_long() -> None:
        begun.set()
        over.wait(120)

    leader.acts["chores"] = take_long
    with leader.working():
        try:
            assert begun.wait(60)
            before = leader.done.count("step")
            leader.wakeups.notify(WAKEUP)
            wait_until(lambda: leader.done.count("step") > before)
        finally:
            over.set()
    assert leader.done.count("chores") == 1


def test_a_chore_that_fails_keeps_no_other_from_being_done(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError("broken")

    monkeypatch.setattr(led_work, "FAILED_SECONDS", 0.01)
    leader.acts["chores"] = fail

    with leader.working():
        wait_until(lambda: "more chores" in leader.done)


def test_a_shift_that_has_lost_a_thread_tells_so(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Wakeups, _topic: str) -> Listener:
        raise OSError("too many open files")

    with leader.working() as shift:
        wait_until(lambda: "tell" in leader.done)
        assert shift.is_whole
    monkeypatch.setattr(Wakeups, "listen", fail)
    with leader.working() as shift:
        wait_until(lambda: not shift.is_whole)


def test_a_shift_that_could_not_start_all_of_its_threads_leaves_none_behind(
    leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse_reports(thread: threading.Thread) -> None:
        if thread.name == "reporter":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_reports)
    with leader.working() as shift:
        wait_until(lambda: "tell" in leader.done)
        assert not shift.is_whole

    assert not any(thread.is_alive() for thread in shift._threads)
