"""The work of a leader that only pretends, for schedulers on threads of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from kamu_assets.database.database import Database
from kamu_assets.orchestration.scheduler.led_work import LedWork
from kamu_assets.orchestration.scheduler.process import SchedulerProcess


@dataclass
class Work:
    """Remembers what was done by whom, and does it only where the database lets it."""

    databases: list[Database] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    at_step: Callable[[], object] = list

    def begin(self, database: Database) -> LedWork:
        self.databases.append(database)
        work = _Steps(self, database, len(self.databases))
        anything = cast("Any", work)
        return LedWork(scheduler=anything, reaper=anything, waits=anything, catalog=anything, reports=anything)


@dataclass
class _Steps:
    """All that a leader does, in one."""

    work: Work
    database: Database
    term: int

    def step(self) -> None:
        self.work.at_step()
        with self.database.transaction():
            self.work.steps.append(self.term)

    def nothing(self) -> None:
        return None

    requeue_stranded = end_silent = bury_lost = reconcile = tell_who_waits = tell = load = nothing


@contextmanager
def running(process: SchedulerProcess) -> Iterator[None]:
    thread = threading.Thread(target=process.run)
    thread.start()
    try:
        yield
    finally:
        process.stop()
        thread.join(120)
        assert not thread.is_alive()


def has_worked(work: Work) -> Callable[[], bool]:
    before = len(work.steps)
    return lambda: len(work.steps) > before
