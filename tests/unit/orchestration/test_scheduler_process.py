"""Of several schedulers one works; what it knows and does ends with its term."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from kamu_assets.clock import SystemClock
from kamu_assets.database import connections, leadership
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.database.outbox import WAKEUP
from kamu_assets.database.terms import DeposedError, begin_term
from kamu_assets.database.wakeups import Listener, Wakeups
from kamu_assets.monitoring import metrics
from kamu_assets.monitoring.families import own_families
from kamu_assets.orchestration.scheduler.leader import ROLE, leader_of
from kamu_assets.orchestration.scheduler.led_work import LedWork
from kamu_assets.orchestration.scheduler.process import SchedulerProcess
from tests.support.heart import Heart
from tests.support.led import Work, has_worked, running
from tests.support.waiting import wait_until

# Leads, and has begun a transaction.
STOPPED = """
import sys, time
from kamu_assets.clock import SystemClock
from kamu_assets.database import connections, leadership
from kamu_assets.database.database import Database
from kamu_assets.database.terms import begin_term
from kamu_assets.orchestration.workers.liveness import own_identity
database = Database.open(sys.argv[1])
assert database.leadership("scheduler", lasting=True).take()
with database.transaction() as tx:
    begin_term(tx, "scheduler", holder=own_identity(), now=SystemClock().now())
with database.transaction() as tx:
    print("begun", flush=True)
    time.sleep(300)
"""


@dataclass
class Schedulers:
    folder: Path
    database: Database
    started: ExitStack

    def start(self, work: Work) -> SchedulerProcess:
        """On a thread of this process."""
        process = SchedulerProcess(
            database=self.database, begin=work.begin, wakeups=Wakeups(self.folder), clock=SystemClock()
        )
        self.started.enter_context(running(process))
        return process

    def term(self) -> int:
        """Of the leader there is."""
        leader = leader_of(self.database)
        return leader.term if leader is not None and leader.leads else 0


@pytest.fixture
def schedulers(heart: Heart, tmp_path: Path) -> Iterator[Schedulers]:
    with ExitStack() as started:
        yield Schedulers(tmp_path, heart.database, started)


def test_one_works_until_it_stops_and_the_next_begins_anew(schedulers: Schedulers) -> None:
    one, two = Work(), Work()
    leader = schedulers.start(one)
    wait_until(has_worked(one))
    schedulers.start(two)
    wait_until(has_worked(one))
    assert two.databases == []
    assert schedulers.term() == 1

    leader.stop()

    wait_until(has_worked(two))
    assert schedulers.term() == 2
    done = len(one.steps)
    wait_until(has_worked(two))
    assert len(one.steps) == done


def test_a_leader_whose_lock_is_none_any_more_stops_and_stands_again(schedulers: Schedulers) -> None:
    work = Work()
    schedulers.start(work)
    wait_until(has_worked(work))

    next(schedulers.folder.rglob(f"*.{ROLE}.lock")).unlink()

    wait_until(lambda: 2 in work.steps)
    assert work.steps == sorted(work.steps)
    with pytest.raises(DeposedError), work.databases[0].transaction():
        pass


def test_a_leader_finds_that_a_later_term_has_begun(schedulers: Schedulers) -> None:
    work = Work()
    schedulers.start(work)
    wait_until(has_worked(work))

    with schedulers.database.transaction() as tx:
        begin_term(tx, ROLE, holder="another", now=SystemClock().now())

    wait_until(lambda: 2 in work.steps)
    assert schedulers.term() == 3


def test_the_next_leader_waits_until_the_last_step_has_ended(schedulers: Schedulers) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        leave.wait(120)

    one, two = Work(at_step=hang), Work()
    leader = schedulers.start(one)
    assert entered.wait(60)
    schedulers.start(two)

    leader.stop()
    threading.Event().wait(1)
    assert two.databases == []
    leave.set()

    wait_until(has_worked(two))


def test_a_leader_that_cannot_begin_tries_again(schedulers: Schedulers, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work()
    begin = work.begin
    failures = [DatabaseBusyError(), RuntimeError("a bug")]

    def fail_first(database: Database) -> LedWork:
        if failures:
            raise failures.pop()
        return begin(database)

    monkeypatch.setattr(work, "begin", fail_first)
    schedulers.start(work)

    wait_until(has_worked(work))
    assert failures == []
    # Each attempt counts: what the one before had begun is fenced off, too.
    assert schedulers.term() == 3


def test_a_leader_that_is_stopped_in_a_transaction_is_ended(
    schedulers: Schedulers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.5)
    url = f"sqlite:///{tmp_path / 'other.db'}"
    schedulers.database = Database.open(url)
    schedulers.database.migrate()
    with subprocess.Popen([sys.executable, "-c", STOPPED, url], stdout=subprocess.PIPE, text=True) as stopped:
        assert stopped.stdout is not None
        assert stopped.stdout.readline() == "begun\n"
        stopped.send_signal(signal.SIGSTOP)
        work = Work()

        schedulers.start(work)

        assert stopped.wait(120) == -signal.SIGKILL
        wait_until(has_worked(work))
        assert schedulers.term() == 2


def test_the_metric_tells_who_leads(schedulers: Schedulers) -> None:
    work = Work()
    own_families()
    leader = schedulers.start(work)
    wait_until(has_worked(work))
    assert leads() == 1

    leader.stop()
    wait_until(lambda: leads() == 0)


def leads() -> float:
    return next(each.samples[0].value for each in own_families() if each.name == metrics.SCHEDULER_LEADS.name)


def test_a_leader_that_has_lost_a_thread_begins_anew(schedulers: Schedulers, monkeypatch: pytest.MonkeyPatch) -> None:
    listen, failures = Wakeups.listen, [OSError("too many open files")]

    def fail_first(wakeups: Wakeups, topic: str) -> Listener:
        if topic == WAKEUP and failures:
            raise failures.pop()
        return listen(wakeups, topic)

    monkeypatch.setattr(Wakeups, "listen", fail_first)
    work = Work()
    schedulers.start(work)

    wait_until(lambda: 2 in work.steps)
