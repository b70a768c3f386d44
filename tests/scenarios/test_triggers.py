"""What happens by itself: triggers, and derivatives that follow."""

from __future__ import annotations

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
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, flows, numbers, numbers_so_far, polled_root, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 200.0
PUSHES = 24
AT_ONCE = 4
MINUTELY = "minutely"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node"), storage={"durability": "fast"}) as node:
        yield node


@pytest.fixture(scope="module", autouse=True)
def minutely(node: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was told of the trigger of a root that is polled each minute: its time comes while other tests run."""
    page = tmp_path_factory.mktemp("source") / "page.ndjson"
    page.write_text(records([1, 2]))
    add(node, polled_root(MINUTELY, page.as_uri()))
    told: dict[str, Any] = node.told("trigger", "set", MINUTELY, "--cron", "* * * * *")
    return told


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
    return sorted(numbers_so_far(node, name)) == wanted


def at_rest(node: RunningNode, name: str) -> bool:
    """Whether all flows of the dataset have ended: its data is there a moment before, and Dagster hears of it then."""
    return all(flow.outcome for flow in flows(node, name))


def test_an_interval_polls_again_and_again(node: RunningNode, name: str, page: Path) -> None:
    add(node, polled_root(name, page.as_uri()), derivative(f"{name}.more", of=name))

    assert node.told("trigger", "set", name, "--every", "1s")["rule"] == "every 1s"
    wait_until(partial(held, node, name, [1, 2]), patience=PATIENCE, every=0.5)
    page.write_text(records([1, 2, 3]))
    wait_until(partial(held, node, name, [1, 2, 3]), patience=PATIENCE, every=0.5)
    wait_until(partial(held, node, f"{name}.more", [2, 3, 4]), patience=PATIENCE, every=0.5)

    node.kamu_node("trigger", "pause", name)
    (listed,) = [each for each in node.told("trigger", "list") if each["paused"]]
    assert listed.pop("last")["outcome"] in {"SUCCESS", "UP_TO_DATE"}
    assert listed == {"dataset": f"kamu/{name}", "rule": "every 1s", "paused": True, "nextDue": None}
    node.kamu_node("trigger", "remove", name)
    assert {flow.cause.kind for flow in flows(node, name)} == {CauseKind.AUTO_POLLING}
    assert {flow.cause.kind for flow in flows(node, f"{name}.more")} == {CauseKind.INPUT_UPDATED}


def test_a_cron_expression_polls_at_its_minute(node: RunningNode, minutely: dict[str, Any]) -> None:
    assert minutely["rule"] == "cron * * * * *"
    assert minutely["nextDue"].endswith(":00Z")
    wait_until(partial(held, node, MINUTELY, [1, 2]), patience=PATIENCE, every=0.5)
    node.kamu_node("trigger", "remove", MINUTELY)
    first = flows(node, MINUTELY)[-1]
    assert first.cause.kind is CauseKind.AUTO_POLLING
    assert first.first_scheduled_at == Timestamp.parse(minutely["nextDue"])
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
        wait_until(partial(at_rest, node, derived), patience=PATIENCE, every=0.2)
        # A run takes in what came while another was at work; Dagster hears of each once.
        told = node.ui.materializations(("kamu", derived))
        assert sum(int(seen.metadata["records_added"] or 0) for seen in told) == PUSHES

    ended = {flow.id: flow.outcome.kind for flow in flows(node, more) if flow.outcome}
    assert asked <= ended.keys()
    assert {*ended.values()} <= {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}


def test_who_asks_starts_the_flow_that_waits_and_sees_it_all_the_time(node: RunningNode, name: str) -> None:
    """KF-05, KF-06"""
    more = f"{name}.more"
    add(node, pushed_root(name), derivative(more, of=name))
    node.kamu_node("trigger", "set", more, "--reactive", "--min-records", "100", "--max-interval", "1h")
    node.push(f"kamu/{name}", records(range(10)))
    (waiting,) = wait_until(
        lambda: [flow for flow in node.told("flow", "list", more) if flow["startCondition"]], patience=PATIENCE
    )
    assert (waiting["status"], waiting["startCondition"]["accumulatedRecords"]) == ("WAITING", 10)

    asked = node.told("flow", "run", more)
    seen = [node.told("flow", "list", more)]
    while seen[-1][0]["outcome"] is None:
        time.sleep(0.1)
        seen.append(node.told("flow", "list", more))

    assert [[flow["flowId"] for flow in page] for page in seen] == [[waiting["flowId"]]] * len(seen)
    (ended,) = seen[-1]
    assert (asked["flowId"], ended["outcome"]["kind"]) == (waiting["flowId"], "SUCCESS")
    assert [cause["kind"] for cause in ended["causes"]] == ["INPUT_UPDATED", "MANUAL"]
    assert held(node, more, list(range(1, 11)))


def test_flows_end_wherever_they_fail(node: RunningNode, name: str, page: Path) -> None:
    """KF-13: there is no file, it cannot be read, merged, or committed."""
    broken = page.with_name("broken.ndjson")
    broken.write_text("{")
    fetched, read, merged, committed = (f"{name}.{step}" for step in ("fetched", "read", "merged", "committed"))
    add(node, polled_root(fetched, f"{page.as_uri()}x"), polled_root(read, broken.as_uri()))
    add(node, polled_root(merged, page.as_uri(), key="other"), polled_root(committed, page.as_uri()))
    take_its_place(data_folder(node, committed))
    for root in (fetched, read, merged, committed):
        node.kamu_node("flow", "run", root)

    def ended(root: str) -> list[Any]:
        return [flow for flow in node.told("flow", "list", root) if flow["outcome"]]

    for root, told in (
        (fetched, "source not found"),
        (read, "broken.ndjson, line 1"),
        (merged, "page.ndjson: primary key column `other` is not in the data"),
        (committed, "cannot name an object: a part of it is an object"),
    ):
        (failed,) = wait_until(partial(ended, root), patience=PATIENCE, every=0.2)
        assert failed["outcome"]["kind"] == "FAILED"
        assert told in failed["outcome"]["message"]
        moments = [failed["timing"][each] for each in ("awaitingExecutorSince", "runningSince", "completedAt")]
        assert moments == sorted(moments, key=Timestamp.parse)


def data_folder(node: RunningNode, name: str) -> Path:
    """Where the slices of a dataset are put."""
    (shown,) = node.told("show", name)
    return Path(shown["location"]) / "data"


def take_its_place(folder: Path) -> None:
    """A file is where the folder should be."""
    if folder.exists():
        folder.rmdir()
    folder.touch()


def test_a_trigger_is_refused_with_the_reason(node: RunningNode, name: str) -> None:
    add(node, pushed_root(name))

    for rule in (("--every", "0s"), ("--cron", "61 * * * *"), ("--every", "1h", "--cron", "0 * * * *"), ()):
        refused = node.kamu_node("trigger", "set", name, *rule, check=False)
        assert refused.code == 2
        assert len(refused.told.splitlines()) <= 2
        assert "Traceback" not in refused.told

    unknown = node.kamu_node("trigger", "set", "nobody", "--every", "1h", check=False)
    assert unknown.code == 1
    assert unknown.told.startswith("error: dataset nobody does not exist; ")
