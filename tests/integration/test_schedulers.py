"""Two schedulers on one node: whatever becomes of the one that leads, each flow runs, and runs once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dagster import DagsterInstance, RunsFilter
from sqlalchemy import text

from kamu_assets.clock import SystemClock
from kamu_assets.database.database import Database
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import Flow, FlowState, OutcomeKind
from kamu_assets.orchestration.names import TAG_FLOW
from kamu_assets.orchestration.scheduler.leader import Leader, leader_of
from kamu_assets.orchestration.scheduler.process import SchedulerProcess
from kamu_assets.orchestration.workers.worker import WarmWorker
from tests.contracts.conftest import opened
from tests.support.dagster_adapter import worker_of
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN
from tests.support.led import Work, has_worked, running
from tests.support.postgres import restartable_server
from tests.support.schedulers import Schedulers
from tests.support.waiting import wait_until

FORGET_THE_LEADER = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


PATIENCE = 150.0


@pytest.fixture
def home(tmp_path: Path, database_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterHome]:
    # Runs are executed by this process, which does not always say that it lives.
    monkeypatch.setenv("TEST_NODE_SILENT_SECONDS", "100000")
    with dagster_home(tmp_path, database_url=database_url) as home:
        yield home


@dataclass
class Story:
    """Asks for flows of new datasets, and executes their runs."""

    home: DagsterHome
    instance: DagsterInstance
    worker: WarmWorker

    def ask(self, name: str) -> DatasetEntry:
        root = self.home.parts.root(f"polled-{name}")
        self.home.parts.flows.request_run(ADMIN, root.id)
        return root

    def require_one_run(self, root: DatasetEntry) -> None:
        """In one attempt, with one effect."""
        parts = self.home.parts

        def ended() -> Flow | None:
            self.worker._drain()
            flow = parts.flow_of(root.id)
            return flow if flow is not None and flow.state is FlowState.FINISHED else None

        flow = wait_until(ended, patience=PATIENCE, every=0.1)
        assert (flow.outcome and flow.outcome.kind, flow.attempt) == (OutcomeKind.SUCCESS, 1)
        assert len(parts.flows_of(root.id)) == 1
        assert len(self.instance.get_runs(RunsFilter(tags={TAG_FLOW: str(flow.id)}))) == 1
        assert parts.chains.state(root.id).next_offset == 10


def test_one_of_two_schedulers_leads_and_the_other_follows_it(home: DagsterHome, database_url: str | None) -> None:
    schedulers = Schedulers(home)
    with home.instance() as instance:
        story = Story(home, instance, worker_of(home.parts, instance))
        home.parts.queue.beat(story.worker._identity)
        leader = schedulers.pair()
        story.require_one_run(story.ask("first"))

        if database_url is not None:
            with home.parts.database.transaction() as tx:
                tx.execute(text(FORGET_THE_LEADER))
            root = story.ask("while-nobody-leads")
            leader = schedulers.leader(after=leader.term)
            story.require_one_run(root)

        leader = one_is_stopped(schedulers, story, leader)

        schedulers.end(leader, signal.SIGKILL)
        root = story.ask("while-one-dies")
        after = schedulers.leader(after=leader.term)
        assert after.process != leader.process
        story.require_one_run(root)

        schedulers.end(after, signal.SIGTERM)
        wait_until(lambda: not (leader_of(home.parts.database) or after).leads, patience=PATIENCE)
        assert leader_of(home.parts.database) == replace(after, leads=False)

    assert [each.wait(60) for each in schedulers.ended] == [-signal.SIGKILL, 0]


def one_is_stopped(schedulers: Schedulers, story: Story, stopped: Leader) -> Leader:
    """It keeps its lock, and its connections, and is no longer asked; later it goes on where it was."""
    process = schedulers.process_of(stopped)
    process.send_signal(signal.SIGSTOP)
    root = story.ask("while-one-is-stopped")
    leader = schedulers.leader(after=stopped.term)
    assert leader.process != stopped.process
    story.require_one_run(root)

    before = schedulers.log()
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: "scheduler_stands_by" in said_since(before, schedulers), patience=PATIENCE)
    said = said_since(before, schedulers)
    assert said.index("scheduler_lost_its_lock") < said.index("scheduler_leads_no_more")
    story.require_one_run(root)
    assert schedulers.leader() == leader
    return leader


def said_since(before: str, schedulers: Schedulers) -> str:
    return schedulers.log().removeprefix(before)


def test_a_leader_whose_database_is_restarted_leads_again(tmp_path: Path) -> None:
    with restartable_server() as server, opened(server.url) as database:
        database.migrate()
        one, two = Work(), Work()
        with running(scheduler(database, one, tmp_path)):
            wait_until(has_worked(one), patience=PATIENCE)
            with opened(server.url) as others, running(scheduler(others, two, tmp_path)):
                server.stop()
                server.start()

                # Either of them.
                wait_until(lambda: 2 in one.steps or two.steps, patience=PATIENCE)
                leader = leader_of(database)
                assert leader is not None
                assert (leader.term, leader.leads) == (2, True)


def scheduler(database: Database, work: Work, folder: Path) -> SchedulerProcess:
    return SchedulerProcess(database=database, begin=work.begin, wakeups=Wakeups(folder), clock=SystemClock())
