"""What happens by itself: triggers, and derivatives that follow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.timestamp import Timestamp
from tests.support.command_line import Home
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, flows, numbers, polled_root, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 200.0
PUSHES = 24
AT_ONCE = 4

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node") / "home", storage={"durability": "fast"}) as node:
        yield node


@pytest.fixture
def desk(node: RunningNode) -> Home:
    """Its command line, without the time that starting one takes."""
    return Home(node.home.parent)


@pytest.fixture
def name() -> str:
    return f"d{uuid4().hex[:8]}"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A published file; what it says at first."""
    page = tmp_path / "page.ndjson"
    page.write_text(records([1, 2]))
    return page


def held(node: RunningNode, name: str, wanted: list[int]) -> bool:
    """Whether the dataset holds exactly this, in whatever order."""
    summaries = json.loads(node.kamu_node("list", "--json").stdout)
    (found,) = [each for each in summaries if each["name"] == name]
    return found["records"] >= len(wanted) and sorted(numbers(node, name)) == wanted


def set_trigger(node: RunningNode, name: str, *rule: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(node.kamu_node("trigger", "set", "--json", name, *rule).stdout)
    return told


def test_an_interval_polls_again_and_again(node: RunningNode, name: str, page: Path) -> None:
    add(node, polled_root(name, page.as_uri()), derivative(f"{name}.more", of=name))

    assert set_trigger(node, name, "--every", "1s")["rule"] == "every 1s"
    wait_until(partial(held, node, name, [1, 2]), patience=PATIENCE, every=0.5)
    page.write_text(records([1, 2, 3]))
    wait_until(partial(held, node, name, [1, 2, 3]), patience=PATIENCE, every=0.5)
    wait_until(partial(held, node, f"{name}.more", [2, 3, 4]), patience=PATIENCE, every=0.5)

    node.kamu_node("trigger", "pause", name)
    (listed,) = [each for each in json.loads(node.kamu_node("trigger", "list", "--json").stdout) if each["paused"]]
    assert listed.pop("last")["outcome"] in {"SUCCESS", "UP_TO_DATE"}
    assert listed == {"dataset": f"kamu/{name}", "rule": "every 1s", "paused": True, "nextDue": None}
    node.kamu_node("trigger", "remove", name)
    assert {flow.cause.kind for flow in flows(node, name)} == {CauseKind.AUTO_POLLING}
    assert {flow.cause.kind for flow in flows(node, f"{name}.more")} == {CauseKind.INPUT_UPDATED}


def test_a_cron_expression_polls_at_its_minute(node: RunningNode, name: str, page: Path) -> None:
    add(node, polled_root(name, page.as_uri()))

    told = set_trigger(node, name, "--cron", "* * * * *")

    assert told["rule"] == "cron * * * * *"
    assert str(told["nextDue"]).endswith(":00Z")
    wait_until(partial(held, node, name, [1, 2]), patience=PATIENCE, every=1)
    node.kamu_node("trigger", "remove", name)
    first = flows(node, name)[-1]
    assert first.cause.kind is CauseKind.AUTO_POLLING
    assert first.first_scheduled_at == Timestamp.parse(str(told["nextDue"]))
    assert first.submitted_at is not None
    assert first.submitted_at >= first.first_scheduled_at


def test_pushes_in_a_burst_all_arrive_at_the_end_of_the_chain(node: RunningNode, name: str) -> None:
    """DS-04; and KF-01: nobody who asks in the same instant is forgotten."""
    more, most = f"{name}.more", f"{name}.most"
    add(node, pushed_root(name), derivative(more, of=name), derivative(most, of=more))

    def push_and_ask(number: int) -> int:
        node.push(f"kamu/{name}", records([number]))
        return opened.flows.request_run(opened.auth.admin_caller(), DatasetAlias.parse(f"kamu/{more}")).id

    with node.opened() as opened, ThreadPoolExecutor(AT_ONCE) as clients:
        asked = {*clients.map(push_and_ask, range(PUSHES))}

    pushed = list(range(PUSHES))
    assert sorted(numbers(node, name)) == pushed
    wait_until(partial(held, node, more, [number + 1 for number in pushed]), patience=PATIENCE, every=0.5)
    wait_until(partial(held, node, most, [number + 2 for number in pushed]), patience=PATIENCE, every=0.5)
    for derived in (more, most):
        # A run takes in what came while another was at work; Dagster hears of each once.
        told = node.ui.materializations(("kamu", derived))
        assert sum(int(seen.metadata["records_added"] or 0) for seen in told) == PUSHES

    wait_until(lambda: not any(flow.outcome is None for flow in flows(node, more)), patience=PATIENCE, every=0.5)
    ended = {flow.id: flow.outcome.kind for flow in flows(node, more) if flow.outcome}
    assert asked <= ended.keys()
    assert {*ended.values()} <= {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}


def test_who_asks_starts_the_flow_that_waits_and_sees_it_all_the_time(node: RunningNode, name: str, desk: Home) -> None:
    """KF-05, KF-06"""
    more = f"{name}.more"
    add(node, pushed_root(name), derivative(more, of=name))
    desk.ok("trigger", "set", more, "--reactive", "--min-records", "100", "--max-interval", "1h")
    node.push(f"kamu/{name}", records(range(10)))
    (waiting,) = wait_until(lambda: desk.json("flow", "list", more), patience=PATIENCE)
    assert (waiting["status"], waiting["startCondition"]["accumulatedRecords"]) == ("WAITING", 10)

    asked = desk.json("flow", "run", more)
    seen = [desk.json("flow", "list", more)]
    while seen[-1][0]["outcome"] is None:
        time.sleep(0.1)
        seen.append(desk.json("flow", "list", more))

    assert [[flow["flowId"] for flow in page] for page in seen] == [[waiting["flowId"]]] * len(seen)
    (ended,) = seen[-1]
    assert (asked["flowId"], ended["outcome"]["kind"]) == (waiting["flowId"], "SUCCESS")
    assert [cause["kind"] for cause in ended["causes"]] == ["INPUT_UPDATED", "MANUAL"]
    assert held(node, more, list(range(1, 11)))


def test_flows_end_wherever_they_fail(node: RunningNode, name: str, desk: Home, page: Path) -> None:
    """KF-13: there is no file, or it cannot be read."""
    missing, broken = f"{name}.missing", f"{name}.broken"
    add(node, polled_root(missing, f"{page.as_uri()}x"), polled_root(broken, page.as_uri()))
    page.write_text("{")
    for root in (missing, broken):
        desk.ok("flow", "run", root)

    def ended(root: str) -> list[Any]:
        return [flow for flow in desk.json("flow", "list", root) if flow["outcome"]]

    for root, told in ((missing, "source not found"), (broken, "page.ndjson, line 1")):
        (failed,) = wait_until(partial(ended, root), patience=PATIENCE, every=0.2)
        assert failed["outcome"]["kind"] == "FAILED"
        assert failed["outcome"]["message"].startswith(told)
        moments = [failed["timing"][each] for each in ("awaitingExecutorSince", "runningSince", "completedAt")]
        assert moments == sorted(moments, key=Timestamp.parse)


def test_a_trigger_is_refused_with_the_reason(node: RunningNode, name: str) -> None:
    add(node, pushed_root(name))

    for rule in (("--every", "0s"), ("--cron", "61 * * * *"), ("--every", "1h", "--cron", "0 * * * *"), ()):
        refused = node.kamu_node("trigger", "set", name, *rule, check=False)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) <= 2
        assert "Traceback" not in refused.stderr

    unknown = node.kamu_node("trigger", "set", "nobody", "--every", "1h", check=False)
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: dataset nobody does not exist; ")
