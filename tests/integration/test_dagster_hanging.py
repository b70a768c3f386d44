"""A worker that lives and does nothing: its run is taken over, and whatever wakes it later changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.orchestration.names import TAG_ATTEMPT, TAG_LOST
from kamu_assets.orchestration.processes import daemon_command
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until

PATIENCE = 200.0
# Long enough for a worker on a busy machine, which speaks every second.
SILENT_SECONDS, BEAT_SECONDS = "12", "1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterHome]:
    monkeypatch.setenv("TEST_NODE_SILENT_SECONDS", SILENT_SECONDS)
    monkeypatch.setenv("TEST_NODE_BEAT_SECONDS", BEAT_SECONDS)
    with dagster_home(tmp_path) as home:
        home.start_own("scheduler")
        # While no worker lives, runs wait for Dagster's daemon.
        home.start(daemon_command(home.config))
        yield home


@pytest.mark.timeout(600)
def test_a_stopped_worker_loses_its_run_and_is_ended_dg_13(home: DagsterHome) -> None:
    worker = home.start_own("worker")
    slow = home.parts.root("polled-slow-one")
    flow = home.parts.flows.request_run(ADMIN, slow.id)
    with home.instance() as instance:
        first = started(home, instance, slow)

        worker.send_signal(signal.SIGSTOP)
        assert worker.wait(PATIENCE) == -signal.SIGKILL
        home.start_own("worker")
        second = started(home, instance, slow, after=first)
        wake(worker)

        lost = instance.get_run_by_id(first.run_id)
        assert lost is not None
        assert lost.status is DagsterRunStatus.FAILURE
        assert "no sign of life" in lost.tags[TAG_LOST]
        assert any("no sign of life" in entry.message for entry in instance.all_logs(first.run_id))
        assert (second.run_id != first.run_id, second.tags[TAG_ATTEMPT]) == (True, "2")
    home.parts.flows.cancel(ADMIN, flow.id)
    (ended,) = home.parts.finished(slow.id)
    assert ended.outcome is not None
    assert ended.outcome.kind is OutcomeKind.ABORTED


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_an_idle_worker_that_stops_makes_room_for_one_that_works_dg_13(home: DagsterHome) -> None:
    worker = home.start_own("worker")
    worker.send_signal(signal.SIGSTOP)
    polled = home.parts.root("polled-one")
    home.parts.flows.request_run(ADMIN, polled.id)

    assert worker.wait(PATIENCE) == -signal.SIGKILL
    home.start_own("worker")

    (ended,) = wait_until(lambda: home.parts.finished(polled.id), patience=PATIENCE, every=0.2)
    assert ended.outcome is not None
    assert ended.outcome.kind is OutcomeKind.SUCCESS
    assert home.parts.chains.state(polled.id).last_offset == 9


def started(
    home: DagsterHome, instance: DagsterInstance, entry: DatasetEntry, *, after: DagsterRun | None = None
) -> DagsterRun:
    """The dataset's run once a worker executes it; the one that follows `after`."""

    def executing() -> DagsterRun | None:
        flow = home.parts.flow_of(entry.id)
        run = instance.get_run_by_id(flow.run_id) if flow and flow.run_id else None
        is_new = run is not None and (after is None or run.run_id != after.run_id)
        return run if run and is_new and run.status is DagsterRunStatus.STARTED else None

    return wait_until(executing, patience=PATIENCE, every=0.1)


def wake(process: subprocess.Popen[bytes]) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
