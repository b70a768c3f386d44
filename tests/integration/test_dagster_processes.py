"""Scheduler and workers as real processes: they are killed, stopped and started again, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import Flow, OutcomeKind
from kamu_assets.orchestration.names import TAG_ATTEMPT, key_of
from kamu_assets.orchestration.processes import daemon_command
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    with dagster_home(tmp_path_factory.mktemp("node")) as home:
        start_all(home)
        yield home


def start_all(home: DagsterHome) -> None:
    home.start_own("scheduler")
    home.start_own("worker")
    home.start(daemon_command(home.config))


@pytest.fixture(scope="module")
def instance(home: DagsterHome) -> Iterator[DagsterInstance]:
    with home.instance() as instance:
        yield instance


def a_name(prefix: str) -> str:
    return f"{prefix}-{uuid4().hex[:12]}"


def the_worker(home: DagsterHome) -> int:
    """The process that lives and works."""
    return _running(home, "worker").pid


def kill(home: DagsterHome, number: signal.Signals) -> None:
    worker = _running(home, "worker")
    worker.send_signal(number)
    worker.wait(100)


def the_run(instance: DagsterInstance, flow: Flow | None) -> DagsterRun | None:
    return instance.get_run_by_id(str(flow.run_id)) if flow and flow.run_id else None


def started(home: DagsterHome, instance: DagsterInstance, entry: DatasetEntry) -> DagsterRun:
    """The dataset's run once a worker executes it."""

    def executing() -> DagsterRun | None:
        run = the_run(instance, home.parts.flow_of(entry.id))
        return run if run and run.status is DagsterRunStatus.STARTED else None

    return wait_until(executing)


def outcome(home: DagsterHome, entry: DatasetEntry) -> OutcomeKind:
    (flow,) = home.parts.finished(entry.id)
    assert flow.outcome is not None
    return flow.outcome.kind


def test_a_push_is_followed_by_its_derivatives(home: DagsterHome, instance: DagsterInstance) -> None:
    root = home.parts.root(a_name("root"))
    derivative = home.parts.derivative(a_name("derivative"), root)
    last = home.parts.derivative(a_name("last"), derivative)

    home.parts.push(root.id)

    assert outcome(home, derivative) is OutcomeKind.SUCCESS
    assert outcome(home, last) is OutcomeKind.SUCCESS
    for entry in (root, derivative, last):
        wait_until(partial(instance.get_latest_materialization_event, key_of(entry.alias)))


def test_cancelling_stops_the_run_and_not_the_worker(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(a_name("polled-slow"))
    worker = the_worker(home)
    flow = home.parts.flows.request_run(ADMIN, slow.id)
    run = started(home, instance, slow)

    home.parts.flows.cancel(ADMIN, flow.id)

    assert outcome(home, slow) is OutcomeKind.ABORTED
    wait_until(lambda: (ended := the_run(instance, home.parts.flow_of(slow.id))) and ended.is_finished)
    canceled = instance.get_run_by_id(run.run_id)
    assert canceled is not None
    assert canceled.status is DagsterRunStatus.CANCELED
    quick = home.parts.root(a_name("polled"))
    home.parts.flows.request_run(ADMIN, quick.id)
    assert outcome(home, quick) is OutcomeKind.SUCCESS
    assert the_worker(home) == worker


def test_terminating_in_dagsters_ui_is_a_cancellation(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(a_name("polled-slow"))
    home.parts.flows.request_run(ADMIN, slow.id)
    run = started(home, instance, slow)

    assert instance.run_coordinator.cancel_run(run.run_id)

    assert outcome(home, slow) is OutcomeKind.ABORTED


def test_a_killed_worker_costs_an_attempt_and_nothing_else(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(a_name("polled-slow"))
    flow = home.parts.flows.request_run(ADMIN, slow.id)
    first = started(home, instance, slow)

    kill(home, signal.SIGKILL)
    wait_until(lambda: (lost := instance.get_run_by_id(first.run_id)) and lost.status is DagsterRunStatus.FAILURE)
    home.start_own("worker")
    second = started(home, instance, slow)

    assert second.run_id != first.run_id
    assert second.tags[TAG_ATTEMPT] == "2"
    home.parts.flows.cancel(ADMIN, flow.id)
    assert outcome(home, slow) is OutcomeKind.ABORTED


def test_a_stopped_worker_leaves_its_run_to_the_next(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(a_name("polled-slow"))
    flow = home.parts.flows.request_run(ADMIN, slow.id)
    first = started(home, instance, slow)

    kill(home, signal.SIGTERM)
    home.start_own("worker")

    second = started(home, instance, slow)
    assert second.run_id != first.run_id
    home.parts.flows.cancel(ADMIN, flow.id)
    assert outcome(home, slow) is OutcomeKind.ABORTED


def test_a_commit_survives_the_worker_that_made_it(home: DagsterHome, instance: DagsterInstance) -> None:
    root = home.parts.root(a_name("root"))
    derivative = home.parts.derivative(a_name("dying"), root)

    home.parts.push(root.id)
    wait_until(lambda: not _is_alive(home))
    home.start_own("worker")

    (flow,) = home.parts.finished(derivative.id)
    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.attempt) == (OutcomeKind.UP_TO_DATE, 2)
    said = wait_until(lambda: instance.get_latest_materialization_event(key_of(derivative.alias)))
    assert said.asset_materialization is not None
    assert said.asset_materialization.metadata["records_added"].value == 10
    assert home.parts.chains.state(derivative.id).last_offset == 9


def test_a_push_while_the_scheduler_is_away_is_followed_later(home: DagsterHome) -> None:
    root = home.parts.root(a_name("root"))
    derivative = home.parts.derivative(a_name("derivative"), root)
    scheduler = _running(home, "scheduler")
    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait(100)

    home.parts.push(root.id)
    assert home.parts.flow_of(derivative.id) is None
    home.start_own("scheduler")

    assert outcome(home, derivative) is OutcomeKind.SUCCESS


def test_the_daemon_launches_what_had_to_wait(home: DagsterHome, instance: DagsterInstance) -> None:
    busy = home.parts.root(a_name("polled-slow"))
    flow = home.parts.flows.request_run(ADMIN, busy.id)
    run = started(home, instance, busy)
    second = _twin(instance, run)

    instance.submit_run(second.run_id, workspace=None)  # type: ignore[arg-type] # only the UI has one
    queued = instance.get_run_by_id(second.run_id)
    assert queued is not None
    assert queued.status is DagsterRunStatus.QUEUED
    home.parts.flows.cancel(ADMIN, flow.id)

    wait_until(lambda: (r := instance.get_run_by_id(second.run_id)) and r.status is DagsterRunStatus.STARTED)
    instance.run_coordinator.cancel_run(second.run_id)
    wait_until(lambda: (r := instance.get_run_by_id(second.run_id)) and r.is_finished)


def test_an_engine_executes_no_more_runs_than_it_has_places_over_all_workers(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home, home.instance() as instance:
        for role in ("scheduler", "worker", "worker"):
            home.start_own(role)
        root = home.parts.root(a_name("root"))
        first, second = (home.parts.derivative(a_name("slow"), root) for _ in range(2))
        polled = home.parts.root(a_name("polled-slow"))
        flow = home.parts.flows.request_run(ADMIN, first.id)
        started(home, instance, first)

        home.parts.flows.request_run(ADMIN, second.id)
        wait_until(lambda: the_run(instance, home.parts.flow_of(second.id)))
        home.parts.flows.request_run(ADMIN, polled.id)
        # The other worker is free, and passes the derivative by that came before.
        started(home, instance, polled)
        waiting = the_run(instance, home.parts.flow_of(second.id))
        assert waiting is not None
        assert waiting.status is not DagsterRunStatus.STARTED

        home.parts.flows.cancel(ADMIN, flow.id)
        started(home, instance, second)


def test_who_is_canceled_or_dies_gives_its_place_back_dg_11(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home, home.instance() as instance:
        home.start_own("scheduler")
        home.start_own("worker")
        root = home.parts.root(a_name("root"))
        canceled, killed, last = (home.parts.derivative(a_name("slow"), root) for _ in range(3))
        flows = [home.parts.flows.request_run(ADMIN, entry.id) for entry in (canceled, killed)]
        started(home, instance, canceled)

        home.parts.flows.cancel(ADMIN, flows[0].id)
        started(home, instance, killed)
        home.parts.flows.cancel(ADMIN, flows[1].id)
        kill(home, signal.SIGKILL)
        home.start_own("worker")
        home.parts.flows.request_run(ADMIN, last.id)

        started(home, instance, last)


def test_processes_stop_when_told(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        start_all(home)
        polled = home.parts.root(a_name("polled"))
        home.parts.flows.request_run(ADMIN, polled.id)
        assert outcome(home, polled) is OutcomeKind.SUCCESS

        for process in home.processes:
            process.terminate()

        scheduler, worker, daemon = (process.wait(60) for process in home.processes)
        assert (scheduler, worker) == (0, 0)
        # Dagster's daemon may not have come to its signal handlers yet.
        assert daemon in (0, -signal.SIGTERM)


def _twin(instance: DagsterInstance, run: DagsterRun) -> DagsterRun:
    """Another run for the same dataset, as the UI would start it."""
    return instance.add_run(
        run._replace(run_id=str(uuid4()), status=DagsterRunStatus.NOT_STARTED, tags=_without_flow(run))
    )


def _without_flow(run: DagsterRun) -> dict[str, str]:
    return {name: value for name, value in run.tags.items() if name != "kamu/flow_id"}


def _running(home: DagsterHome, role: str) -> subprocess.Popen[bytes]:
    return next(p for p in reversed(home.processes) if repr(role) in str(p.args) and p.poll() is None)


def _is_alive(home: DagsterHome) -> bool:
    return any(repr("worker") in str(p.args) and p.poll() is None for p in home.processes)
