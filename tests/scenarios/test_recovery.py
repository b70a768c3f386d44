"""What a node stands on is lost or goes away; it comes back by itself, and nothing happens twice."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from kamu_api.cli.node.processes import process_specs
from kamu_assets.flows.model import OutcomeKind
from tests.support.ports import free_port
from tests.support.postgres import RestartableServer, restartable_server
from tests.support.running_node import RunningNode, environment, running_node
from tests.support.steady_pushes import SteadyPushes
from tests.support.stories import (
    add,
    derivative,
    flows,
    live_flows,
    numbers,
    numbers_so_far,
    polled_root,
    pushed_root,
    records,
)
from tests.support.waiting import wait_until

PATIENCE = 200.0
ROOT, DERIVATIVE = "counted", "more"
QUERY_WORKERS = "query workers"
# Datasets with a trigger, and the first number of those that are pushed to the other API.
POLLED, OTHERS = 40, 1_000_000

# Each takes a minute or more: with the long forms.
pytestmark = [pytest.mark.timeout(900), pytest.mark.faults]


def started(home: Path, **settings: Any) -> contextlib.AbstractContextManager[RunningNode]:
    return running_node(home, storage={"durability": "fast"}, **settings)


def push(node: RunningNode, *batches: range) -> None:
    """Each is a commit, and computed before the next."""
    for batch in batches:
        node.push(f"kamu/{ROOT}", records(batch))
        wait_until(lambda batch=batch: batch[-1] + 1 in numbers_so_far(node, DERIVATIVE), patience=PATIENCE, every=0.2)  # type: ignore[misc] # mypy cannot infer lambdas with defaults
    wait_until(lambda: not live_flows(node), patience=PATIENCE, every=0.2)


def told_offsets(node: RunningNode, name: str) -> list[object]:
    return [event.metadata.get("offsets") for event in node.ui.materializations(("kamu", name))]


def is_shown(node: RunningNode) -> bool:
    """Whether Dagster's UI has both datasets."""
    with contextlib.suppress(httpx.HTTPError):
        return {("kamu", ROOT), ("kamu", DERIVATIVE)} <= node.ui.assets()
    return False


def test_dagsters_home_and_later_its_catalog_are_lost_between_two_starts(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        push(node, range(5), range(5, 8))
        before = len(flows(node, DERIVATIVE))
        dagster = node.settings.dagster_home
    shutil.rmtree(dagster)

    with started(tmp_path) as node:
        wait_until(lambda: is_shown(node), patience=PATIENCE, every=0.5)
        for name in (ROOT, DERIVATIVE):
            wait_until(lambda name=name: told_offsets(node, name) == ["[0, 4]", "[5, 7]"], patience=PATIENCE, every=0.5)  # type: ignore[misc] # mypy cannot infer lambdas with defaults
        assert len(flows(node, DERIVATIVE)) == before
        push(node, range(8, 9))
        wait_until(lambda: told_offsets(node, DERIVATIVE)[2:] == ["[8, 8]"], patience=PATIENCE, every=0.5)
    states = list((dagster / "defs_state").rglob("*"))
    for state in states:
        if state.is_file():
            state.unlink()

    with started(tmp_path) as node:
        wait_until(lambda: is_shown(node), patience=PATIENCE, every=0.5)
        push(node, range(9, 10))
        assert numbers(node, DERIVATIVE) == list(range(1, 11))
        assert {flow.outcome.kind for flow in flows(node, DERIVATIVE) if flow.outcome} == {OutcomeKind.SUCCESS}
    assert [state for state in states if state.is_file()] == []


def test_dagsters_home_is_removed_under_a_running_node(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        with SteadyPushes(node, ROOT) as pushes:
            pushes.go_on()
            before = node.all_pids()
            remove(node.settings.dagster_home)
            wait_until(lambda: are_all_others(before, node.pids()), patience=PATIENCE, every=0.5)
            pushes.go_on()

        check(node, pushes)
        assert node.pids()["api"] == before["api"]


def test_the_state_of_the_catalog_is_lost_and_its_code_server_killed_under_a_running_node(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        wait_until(lambda: is_shown(node), patience=PATIENCE, every=0.5)
        remove(node.settings.dagster_home / "defs_state")
        server = node.all_pids()["catalog"]

        os.kill(server, signal.SIGKILL)

        wait_until(lambda: node.pids().get("catalog", server) != server, patience=PATIENCE, every=0.2)
        wait_until((node.settings.dagster_home / "defs_state").exists, patience=PATIENCE, every=0.2)
        wait_until(lambda: is_shown(node), patience=PATIENCE, every=0.5)
        push(node, range(3))
        assert told_offsets(node, DERIVATIVE) == ["[0, 2]"]


def test_processes_that_hang_are_no_end_to_what_flows_dg_13(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        with SteadyPushes(node, ROOT) as pushes:
            pushes.go_on()
            wait_until(lambda: any(flow.started_at for flow in live_flows(node)), patience=PATIENCE)
            worker = node.all_pids()["worker"]

            os.kill(worker, signal.SIGSTOP)
            wait_until(lambda: node.pids().get("worker", worker) != worker, patience=PATIENCE, every=0.5)
            pushes.go_on()

        check(node, pushes)
        assert "worker_hangs" in node.log()


@pytest.mark.parametrize("seed", range(3))
def test_processes_are_killed_in_any_order_some_of_them_together(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with started(tmp_path) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        names = [*node.all_pids(), QUERY_WORKERS]
        chance.shuffle(names)
        with SteadyPushes(node, ROOT) as pushes:
            pushes.go_on()
            while names:
                together = [names.pop() for _ in range(min(len(names), chance.randint(1, 3)))]
                kill(node, *together)
                pushes.go_on()

        check(node, pushes)
        wait_until(lambda: is_shown(node), patience=PATIENCE, every=0.5)


@pytest.fixture
def server() -> Iterator[RestartableServer]:
    with restartable_server() as server:
        yield server


def test_the_database_is_restarted_while_data_flows(tmp_path: Path, server: RestartableServer) -> None:
    """DS-11"""
    with started(tmp_path, database={"url": server.url}) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        with SteadyPushes(node, ROOT) as pushes:
            pushes.go_on()
            for _ in range(2):
                server.stop()
                refused(pushes)
                server.start()
                pushes.go_on()

        check(node, pushes)


def test_connections_to_the_database_are_cut_while_data_flows(tmp_path: Path, server: RestartableServer) -> None:
    """DS-11"""
    with started(tmp_path, database={"url": server.url}) as node:
        add(node, pushed_root(ROOT), derivative(DERIVATIVE, of=ROOT))
        with SteadyPushes(node, ROOT) as pushes:
            for _ in range(8):
                pushes.go_on()
                wait_until(lambda: any(flow.run_id for flow in live_flows(node)), patience=PATIENCE)
                cut_connections(server.url)

        check(node, pushes)


def test_one_of_two_apis_and_schedulers_is_killed_while_data_flows(tmp_path: Path, server: RestartableServer) -> None:
    """KF-15"""
    page = tmp_path / "page.ndjson"
    page.write_text(records(range(3)), encoding="utf-8")
    polled = [f"polled{number}" for number in range(POLLED)]
    with started(tmp_path / "home", database={"url": server.url}) as node, beside(node) as other:
        add(node, pushed_root(ROOT), *(polled_root(name, page.as_uri()) for name in polled))
        with SteadyPushes(node, ROOT) as ours, SteadyPushes(other, ROOT, first=OTHERS) as others:
            ours.go_on()
            node.kamu_node("trigger", "set", "polled%", "--every", "1h")
            others.go_on()
            kill(node, "api", "scheduler")
            others.go_on()
            ours.go_on()

        wait_until(lambda: not live_flows(node), patience=PATIENCE, every=1)
        for name in polled:
            (flow,) = (flow for flow in flows(node, name) if flow.outcome)
            assert flow.outcome is not None
            assert (flow.outcome.kind, numbers(node, name)) == (OutcomeKind.SUCCESS, [0, 1, 2])
        found = numbers(node, ROOT)
        ours.check([number for number in found if number < OTHERS])
        others.check([number for number in found if number >= OTHERS])


@contextlib.contextmanager
def beside(node: RunningNode) -> Iterator[RunningNode]:
    """The same node by another API; a second scheduler stands by."""
    http = node.settings.http.model_copy(update={"port": free_port()})
    port = {"KAMU_NODE__HTTP__PORT": str(http.port)}
    specs = [spec for spec in process_specs(node.settings) if spec.name in {"api", "scheduler"}]
    with contextlib.ExitStack() as running:
        for spec in specs:
            variables = {**environment(), **spec.env, **(port if spec.name == "api" else {})}
            process = running.enter_context(subprocess.Popen(spec.argv, env=variables, start_new_session=True))
            running.callback(os.killpg, process.pid, signal.SIGKILL)
        other = replace(node, settings=node.settings.model_copy(update={"http": http}))
        wait_until(lambda: answers(other), patience=PATIENCE, every=0.2)
        yield other


def answers(node: RunningNode) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return node.request("GET", "/system/health").is_success
    return False


def cut_connections(url: str) -> None:
    """All of them at once; new ones are welcome at once, too."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kamu' AND pid <> pg_backend_pid()"
        )


def check(node: RunningNode, pushes: SteadyPushes) -> None:
    """The node comes to rest; all that was promised is there, once, and no flow is said to have failed."""
    wait_until(
        lambda: sorted(numbers_so_far(node, DERIVATIVE)) == plus_one(numbers_so_far(node, ROOT)),
        patience=PATIENCE,
        every=0.5,
    )
    wait_until(lambda: not live_flows(node), patience=PATIENCE, every=0.5)
    pushes.check(numbers(node, ROOT))
    ended = [flow.outcome for flow in flows(node, DERIVATIVE) if flow.outcome]
    assert [outcome.message for outcome in ended if outcome.kind is OutcomeKind.FAILED] == []
    last = len(numbers(node, ROOT)) - 1
    for name in (ROOT, DERIVATIVE):
        wait_until(lambda name=name: str(told(node, name)[-1:]).endswith(f", {last}]']"), patience=PATIENCE, every=0.5)  # type: ignore[misc] # mypy cannot infer lambdas with defaults


def told(node: RunningNode, name: str) -> list[object]:
    """As `told_offsets`, while the webserver may be away."""
    with contextlib.suppress(httpx.HTTPError):
        return told_offsets(node, name)
    return []


def remove(folder: Path) -> None:
    """All of it, though others write to it meanwhile."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists() and (folder / "dagster.yaml").exists():
            return


def are_all_others(before: dict[str, int], now: dict[str, int]) -> bool:
    """Whether each process but the API has been replaced."""
    return now.keys() == before.keys() and all(now[name] != pid for name, pid in before.items() if name != "api")


def kill(node: RunningNode, *names: str) -> None:
    """End processes at once, and wait for their successors; `QUERY_WORKERS` are those that the API has started."""
    before = node.all_pids()
    families = {**{name: [pid] for name, pid in before.items()}, QUERY_WORKERS: node.families()["api"][1:]}
    for pid in [pid for name in names for pid in families[name]]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    kept = [name for name in names if name != QUERY_WORKERS]
    wait_until(lambda: all(node.pids().get(name, before[name]) != before[name] for name in kept), patience=PATIENCE)


def plus_one(found: list[int]) -> list[int]:
    return sorted(number + 1 for number in found)


def refused(pushes: SteadyPushes) -> None:
    """Return when a push more could not be promised to last."""
    count = len(pushes.unanswered)
    wait_until(lambda: len(pushes.unanswered) > count, patience=PATIENCE)
