"""What an operator sees of a node: metrics of all its processes, its log, its state."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kamu_assets.flows.model import OutcomeKind
from kamu_assets.odf.identity import DatasetAlias
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, flows, polled_root, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 200.0
_VARIABLE = "open-sesame-4711"

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(
        tmp_path_factory.mktemp("node"),
        storage={"durability": "fast"},
        log={"format": "json"},
        ingest={"variables": {"KEY": _VARIABLE}},
    ) as node:
        yield node


def metrics_of(node: RunningNode) -> str:
    return node.request("GET", "/system/metrics", anonymous=True).text


def value(node: RunningNode, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(metrics_of(node))
    return sum(
        one.value
        for each in families
        for one in each.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def events(node: RunningNode) -> list[dict[str, Any]]:
    """Every line of the log is an object."""
    return [json.loads(line) for line in node.log().splitlines() if line]


def test_a_run_is_seen_in_metrics_and_log(node: RunningNode) -> None:
    add(node, pushed_root("seen"), derivative("seen.more", of="seen"))
    node.push("kamu/seen", records([1, 2, 3]))

    def ended() -> list[Any]:
        return [event for event in events(node) if event["event"] == "run_ended"]

    wait_until(lambda: any("seen.more" in str(event["datasets"]) for event in ended()), patience=PATIENCE, every=0.5)
    wait_until(
        lambda: value(node, "kamu_node_runs_ended_total", process="worker", outcome="SUCCESS") >= 1,
        patience=PATIENCE,
        every=0.5,
    )

    assert value(node, "kamu_node_runs_started_total", process="worker") >= 1
    assert value(node, "kamu_node_transform_records_total", process="worker") >= 3
    assert value(node, "kamu_node_scheduler_last_step_timestamp_seconds", process="scheduler") > 1e9
    node.all_pids()
    for process in ("api", "scheduler", "worker", "catalog", "flows", "daemon", "webserver"):
        assert value(node, "kamu_node_process_memory_bytes", process=process) > 1 << 20
    assert value(node, "kamu_api_server_outbox_messages_processed_total", consumer="flows") > 0
    assert all(event["run"] and event["process"] == "worker" for event in ended())
    pushed = [event for event in events(node) if event.get("path") == "/kamu/seen/ingest"]
    assert [event["status"] for event in pushed] == [200]
    assert pushed[0]["request"]


def test_status_tells_of_every_process(node: RunningNode) -> None:
    pids = node.all_pids()

    found = wait_until(lambda: told if is_open(told := node.told("status")) else None, patience=PATIENCE, every=0.2)

    assert (found["running"], found["ready"], found["pid"]) == (True, True, node.supervisor.pid)
    assert {each["name"]: each["pid"] for each in found["processes"]} == {
        **pids,
        "supervisor": node.supervisor.pid,
    }
    assert all(each["memoryBytes"] > 1 << 20 and each["uptimeSeconds"] >= 0 for each in found["processes"])


def is_open(status: dict[str, Any]) -> bool:
    """Whether all ports are: the node is ready before Dagster's code servers are."""
    return all(port["isOpen"] for port in status["ports"])


def test_secrets_of_a_source_that_fails_are_nowhere(node: RunningNode) -> None:
    """Trial SE-15."""
    address = "http://me:hunter2-hunter2@127.0.0.1:1/x?token=t0ken-t0ken&q=${{ env.KEY }}"
    add(node, polled_root("failing", address))
    node.kamu_node("pull", "failing", check=False)
    with node.opened() as home:
        home.flows.request_run(home.auth.admin_caller(), DatasetAlias.parse("kamu/failing"))

    wait_until(
        lambda: any(each.outcome and each.outcome.kind is OutcomeKind.FAILED for each in flows(node, "failing")),
        patience=PATIENCE,
        every=0.5,
    )

    told = [node.log(), metrics_of(node), node.kamu_node("status", "--json").out, node.kamu_node("status").out]
    for secret in ("hunter2-hunter2", "t0ken-t0ken", _VARIABLE):
        assert not any(secret in text for text in told)


def test_a_scheduler_that_hangs_makes_the_node_unready_until_it_goes_on(node: RunningNode) -> None:
    def reason() -> str:
        return str(node.request("GET", "/system/health?type=readiness", anonymous=True).json().get("reason", ""))

    pid = node.pids()["scheduler"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: "the scheduler does not answer" in reason(), patience=PATIENCE, every=0.5)
        assert value(node, "kamu_node_process_up", process="scheduler") == 0
        assert node.request("GET", "/system/health", anonymous=True).is_success
    finally:
        os.kill(pid, signal.SIGCONT)

    wait_until(lambda: reason() == "", patience=PATIENCE, every=0.5)


def test_workers_that_die_leave_no_trace_in_the_folder(node: RunningNode) -> None:
    def is_replaced(dead: int) -> bool:
        worker = node.pids().get("worker", dead)
        return worker != dead and value(node, "kamu_node_process_up", process="worker") == 1

    for _ in range(2):
        dead = node.pids()["worker"]
        os.kill(dead, signal.SIGKILL)
        wait_until(partial(is_replaced, dead), patience=PATIENCE, every=0.5)

    left = sorted(path.name for path in node.settings.run_path.glob("*.metrics"))
    assert left == ["scheduler.metrics", "worker.metrics"]
