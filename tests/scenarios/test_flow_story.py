"""A node that operates by itself, as its command line, its web doors and Dagster's API tell the story."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from kamu_assets.odf.timestamp import Timestamp
from tests.support.dagster_ui import RunTold
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, numbers_so_far, polled_root, pushed_root, records
from tests.support.waiting import wait_until
from tests.support.web_source import Route, WebSource, web_source
from tests.support.webhook_receiver import Receiver, webhook_receiver
from tests.support.webhook_signatures import verify_kamu, verify_standard

PATIENCE = 100.0
SETTINGS: dict[str, Any] = {
    "storage": {"durability": "fast"},
    "egress": {"allow": ["127.0.0.1"]},
    "webhooks": {"allow_http": True, "retry_seconds": 1},
    "flow_agent": {"mandatory_throttling_period_secs": 0},
}
# How Dagster shows the end of an attempt.
STATUSES = {"SUCCESS": "SUCCESS", "UP_TO_DATE": "SUCCESS", "FAILED": "FAILURE", "ABORTED": "CANCELED"}
LAUNCHED_BY = {"MANUAL": "request", "AUTO_POLLING": "trigger", "INPUT_UPDATED": "new data", "DAGSTER_UI": "Dagster"}

Facts = dict[str, Any]

pytestmark = pytest.mark.timeout(290)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node"), **SETTINGS) as node:
        yield node


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def source() -> Iterator[WebSource]:
    with web_source() as source:
        yield source


@pytest.fixture
def polled(node: RunningNode, source: WebSource) -> Iterator[str]:
    """A root that reads a page, which fails at first; nothing runs by itself afterwards."""
    source.routes["/page"] = Route(status=500)
    add(node, polled_root("polled", f"{source.url}/page"))
    yield "polled"
    node.kamu_node("trigger", "remove", "polled", check=False)


def page(numbers: Iterable[int], *, silence_seconds: float = 0) -> Route:
    """What is fetched again whenever it has changed."""
    body = records(numbers).encode()
    return Route(body, etag=f'"{hash(body)}"', silence_seconds=silence_seconds)


def told(node: RunningNode, dataset: str) -> list[Facts]:
    """The flows of a dataset, oldest first, each with its attempts and its history."""
    listed = reversed(node.told("flow", "list", dataset))
    return [node.told("flow", "show", str(flow["flowId"])) for flow in listed]


def held(node: RunningNode, dataset: str) -> list[int]:
    """What a dataset holds; in which order an engine writes what came in several pushes is its own business."""
    return sorted(numbers_so_far(node, dataset))


def after(node: RunningNode, flow: Facts) -> list[Facts]:
    """Later flows of the same dataset that wait for something, newest first."""
    listed = node.told("flow", "list", flow["dataset"])
    return [each for each in listed if each["flowId"] > flow["flowId"] and each["startCondition"]]


def ended(node: RunningNode, flow: Facts) -> Facts | None:
    """All of a flow, once it is over: its data is there a moment before."""
    found: Facts = node.told("flow", "show", str(flow["flowId"]))
    return found if found["outcome"] else None


def conditions(flow: Facts, kind: str) -> list[Facts]:
    """What the flow waited for, in the order of its history."""
    found = [event["startCondition"] for event in flow["history"] if "startCondition" in event]
    return [each for each in found if each["kind"] == kind]


def test_a_push_waits_for_its_batch_and_reaches_the_end_of_the_chain(node: RunningNode, receiver: Receiver) -> None:
    add(node, pushed_root("counted"), derivative("more", of="counted"), derivative("most", of="more"))
    batch = ("--reactive", "--min-records", "5", "--max-interval")
    node.kamu_node("trigger", "set", "more", *batch, "4s")
    made = node.told("webhook", "create", receiver.url, "--dataset", "most")

    node.push("kamu/counted", records([1, 2]))
    wait_until(lambda: held(node, "most") == [3, 4], patience=PATIENCE, every=0.5)

    (late,) = told(node, "more")
    (waited,) = conditions(late, "REACTIVE")
    assert (waited["accumulatedRecords"], waited["minRecords"]) == (2, 5)
    (attempt,) = late["attempts"]
    # Too few came, and the deadline passed.
    assert Timestamp.parse(attempt["queuedAt"]) >= Timestamp.parse(waited["wakeUpAt"])

    node.kamu_node("trigger", "set", "more", *batch, "1h")
    node.push("kamu/counted", records([3, 4, 5]))
    (early,) = wait_until(partial(after, node, late), patience=PATIENCE, every=0.5)
    assert (early["status"], early["attempt"]) == ("WAITING", 0)
    assert early["startCondition"]["accumulatedRecords"] == 3
    node.push("kamu/counted", records([6, 7]))
    wait_until(lambda: held(node, "most") == [3, 4, 5, 6, 7, 8, 9], patience=PATIENCE, every=0.5)

    full = wait_until(partial(ended, node, early), patience=PATIENCE, every=0.1)
    assert full["outcome"]["kind"] == "SUCCESS"
    assert sum(cause["records"] for cause in full["causes"]) == 5
    computed = node.told("flow", "list", "most", "--type", "transform")
    followed = [flow["causes"][0]["upstreamFlowId"] for flow in computed]
    assert followed == [full["flowId"], late["flowId"]]
    _check_webhook(node, receiver, made)


def _check_webhook(node: RunningNode, receiver: Receiver, made: Facts) -> None:
    """The receiver was told of all that became of the dataset, and can be sure of it."""
    heads = [block["blockHash"] for block in node.told("log", "most")]
    wait_until(lambda: receiver.received and receiver.received[-1].json["new_hash"] == heads[0], patience=PATIENCE)
    hashes = [request.json["new_hash"] for request in receiver.received]
    assert hashes == sorted(hashes, key=heads.index, reverse=True)
    for request in receiver.received:
        assert verify_kamu(request, made["secret"])
        assert verify_standard(request, made["secret"])
    written = wait_until(partial(_delivered, node, made["id"], len(hashes)), patience=PATIENCE, every=0.5)
    assert [each["newHash"] for each in written] == hashes[::-1]
    told = node.told("flow", "list", "--webhook", made["id"])
    assert {each["flowId"] for each in written} <= {flow["flowId"] for flow in told}
    assert {flow["webhook"]["id"] for flow in told} == {made["id"]}
    assert {flow["causes"][0]["source"] for flow in told} == {"UPSTREAM_FLOW"}


def _delivered(node: RunningNode, webhook: str, count: int) -> list[Facts]:
    found = node.told("webhook", "deliveries", webhook)
    return found if [each["state"] for each in found] == ["DELIVERED"] * count else []


def test_failures_are_tried_again_stop_the_trigger_and_one_success_resumes_it(
    node: RunningNode, source: WebSource, polled: str
) -> None:
    node.kamu_node("flow-config", "set", polled, "--retries", "1", "--delay", "1s")
    node.kamu_node("trigger", "set", polled, "--every", "1s", "--stop-after", "2")

    (stopped,) = wait_until(lambda: node.told("process", "list", "--state", "stopped-auto"), patience=PATIENCE, every=1)

    assert (stopped["dataset"], stopped["consecutiveFailures"]) == (f"kamu/{polled}", 2)
    failed = told(node, polled)
    assert [flow["outcome"]["kind"] for flow in failed] == ["FAILED", "FAILED"]
    runs = {run.id: run for run in node.ui.told_runs()}
    for flow in failed:
        first, second = (runs[attempt["runId"]] for attempt in flow["attempts"])
        assert (first.status, second.status) == ("FAILURE", "FAILURE")
        assert (second.parent, second.root) == (first.id, first.id)
        assert first.tags["kamu/flow_id"] == second.tags["kamu/flow_id"] == str(flow["flowId"])
    (trigger,) = [each for each in node.told("trigger", "list") if each["dataset"] == f"kamu/{polled}"]
    assert (trigger["stopped"], trigger["nextDue"]) == ("STOP_POLICY", None)

    source.routes["/page"] = page([1])
    asked = node.told("flow", "run", polled)
    wait_until(lambda: held(node, polled) == [1], patience=PATIENCE, every=0.5)
    source.routes["/page"] = page([1, 2])
    # The trigger goes on by itself.
    wait_until(lambda: held(node, polled) == [1, 2], patience=PATIENCE, every=0.5)

    succeeded = [flow for flow in node.told("flow", "list", polled) if flow["flowId"] >= asked["flowId"]]
    assert succeeded[-1]["causes"][0]["kind"] == "MANUAL"
    assert {flow["causes"][0]["kind"] for flow in succeeded[:-1]} == {"AUTO_POLLING"}


@dataclass
class Chances:
    """Somebody who does this and that at Dagster's pages and at the command line."""

    node: RunningNode
    source: WebSource
    random: random.Random
    pushed: int = 0

    def push(self) -> None:
        self.pushed += 1
        self.node.push("kamu/some", records([self.pushed]))

    def change_page(self) -> None:
        """It answers, fails, or takes its time."""
        numbers = range(self.random.randrange(100))
        pages = [page(numbers), Route(status=500), page(numbers, silence_seconds=2)]
        self.source.routes["/any"] = self.random.choice(pages)

    def run_by_command(self) -> None:
        self.node.kamu_node("flow", "run", self.random.choice(["any", "some.more"]))

    def run_by_page(self) -> None:
        self.node.ui.materialize(("kamu", self.random.choice(["any", "some.more"])))

    def cancel_by_command(self) -> None:
        live = [flow for flow in self.node.told("flow", "list", "any") if flow["outcome"] is None]
        for flow in live:
            self.node.kamu_node("flow", "cancel", str(flow["flowId"]))

    def cancel_by_page(self) -> None:
        for run in self.node.ui.live_runs():
            self.node.ui.terminate(run.id)


def test_dagster_and_the_command_line_tell_the_same_history(node: RunningNode, source: WebSource) -> None:
    # As Hypothesis does: the same story wherever a change is judged, a new one on a desk.
    seed = 0 if os.environ.get("CI") else random.randrange(1_000_000)
    chances = Chances(node, source, random.Random(seed))
    chances.change_page()
    add(node, pushed_root("some"), derivative("some.more", of="some"), polled_root("any", f"{source.url}/any"))
    node.kamu_node("flow-config", "set", "any", "--retries", "1", "--delay", "1s")
    wait_until(lambda: ("kamu", "any") in node.ui.assets(), patience=PATIENCE, every=0.2)

    steps = [
        *[chances.push, chances.run_by_page, chances.change_page] * 3,
        *[chances.run_by_command, chances.cancel_by_command, chances.cancel_by_page] * 2,
    ]
    chances.random.shuffle(steps)
    for step in steps:
        step()
    source.routes["/any"] = Route()
    # What was stopped is made up for.
    chances.push()
    pushed = list(range(1, chances.pushed + 1))
    more = [number + 1 for number in pushed]
    names = f"seed {seed}: {[step.__name__ for step in steps]}"
    wait_until(lambda: held(node, "some.more") == more, patience=PATIENCE, every=0.5)
    wait_until(lambda: not node.ui.live_runs() and not _live(node), patience=PATIENCE, every=0.5)

    flows = node.told("flow", "list", "--limit", "10000")
    # The node's own chores are nobody's history.
    attempts = [(flow, attempt) for flow in flows if flow["dataset"] for attempt in _attempts(node, flow)]
    about = {"kamu/dataset_id", "kamu/webhook_id"}
    runs = {run.id: run for run in node.ui.told_runs() if not about.isdisjoint(run.tags)}
    known = {attempt["runId"] for _, attempt in attempts}
    assert known <= runs.keys(), names
    # What somebody asked for in Dagster, and took back before it began, was never done to a dataset.
    for run in (run for run in runs.values() if run.id not in known):
        assert (run.status, run.has_begun, "kamu/flow_id" in run.tags) == ("CANCELED", False, False), f"{names}: {run}"
    for flow, attempt in attempts:
        _check_told_alike(flow, attempt, runs[attempt["runId"]], names)
    assert held(node, "some.more") == more, names


def _live(node: RunningNode) -> list[Facts]:
    return [flow for flow in node.told("flow", "list") if flow["dataset"] and flow["outcome"] is None]


def _attempts(node: RunningNode, flow: Facts) -> list[Facts]:
    if flow["attempt"] <= 1:
        only = {"number": 1, "runId": flow["runId"], "outcome": flow["outcome"]}
        return [only] if flow["attempt"] else []
    found: list[Facts] = node.told("flow", "show", str(flow["flowId"]))["attempts"]
    return found


def _check_told_alike(flow: Facts, attempt: Facts, run: RunTold, names: str) -> None:
    where = f"{names}: {flow} {attempt} {run}"
    assert run.status == STATUSES[attempt["outcome"]["kind"]], where
    cause = flow["causes"][0]["kind"]
    assert run.tags.get("kamu/flow_id") in {None, str(flow["flowId"])}, where
    if "user" not in run.tags:
        # Somebody started it in Dagster.
        assert "DAGSTER_UI" in {each["kind"] for each in flow["causes"]}, where
        return
    assert run.tags["kamu/attempt"] == str(attempt["number"]), where
    assert run.tags["user"] == LAUNCHED_BY[cause], where
