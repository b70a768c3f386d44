"""What a running node shows in Dagster of promises: declared checks and their history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.yaml import parse_snapshot
from tests.integration.test_quality_check import attachments
from tests.support.dagster_ui import CheckSeen
from tests.support.manifests import a_manifest, polling_source, push_source, reading
from tests.support.running_node import RunningNode, running_node
from tests.support.waiting import wait_until

RULES = "checks: [{kind: NotNull, columns: [name]}, {kind: Unique, columns: [id], severity: warn}]"
COLUMNS = reading("id INT", "name STRING")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("quality"), storage={"durability": "fast"}) as node:
        yield node


def add(node: RunningNode, manifest: str) -> DatasetID:
    with node.opened() as opened:
        return opened.datasets.create_from_snapshot(opened.auth.admin_caller(), parse_snapshot(manifest)).id


def history(node: RunningNode, name: str, check: str, *, at_least: int) -> Sequence[CheckSeen]:
    """Newest first, once there are so many that have ended."""

    def ended() -> Sequence[CheckSeen] | None:
        found = [seen for seen in node.ui.checks(["kamu", name], check) if seen.status != "IN_PROGRESS"]
        return found if len(found) >= at_least else None

    return wait_until(ended, every=0.5)


def test_pushes_are_checked_and_every_verdict_stays(node: RunningNode) -> None:
    add(node, a_manifest("pushed", "Root", push_source("default", COLUMNS), attachments(RULES)))
    history(node, "pushed", "not_null_name", at_least=1)

    node.push("kamu/pushed", json.dumps({"id": 1, "name": None}))
    broken = history(node, "pushed", "not_null_name", at_least=2)

    assert [seen.status for seen in broken][:2] == ["FAILED", "SUCCEEDED"]
    assert broken[0].metadata["failed"] == 1
    assert broken[0].metadata["offsets"] == "0"
    assert broken[0].metadata["outcome"] == "failed"
    (unique, *_) = history(node, "pushed", "unique_id", at_least=2)
    assert unique.status == "SUCCEEDED"
    assert unique.run_id == broken[0].run_id


def test_a_run_checks_what_it_has_brought_and_does_not_fail_of_it(node: RunningNode) -> None:
    source = node.home / "rows.ndjson"
    source.write_text(json.dumps({"id": 1, "name": None}) + "\n", encoding="utf-8")
    fetch = polling_source(f"{{kind: FilesGlob, path: {source}}}", COLUMNS)
    polled = add(node, a_manifest("polled", "Root", fetch, attachments(RULES)))
    first = history(node, "polled", "not_null_name", at_least=1)

    with node.opened() as opened:
        flow = opened.flows.request_run(opened.auth.admin_caller(), polled)
        both = history(node, "polled", "not_null_name", at_least=2)
        ended = wait_until(lambda: _finished(opened, flow.id), every=0.5)

    assert first[-1].status == "SUCCEEDED"
    assert both[0].status == "FAILED"
    assert ended.outcome == FlowOutcome(OutcomeKind.SUCCESS)
    assert both[0].run_id == ended.run_id
    assert [seen.run_id for seen in node.ui.materializations(["kamu", "polled"])] == [ended.run_id]


def _finished(opened: Node, flow: int) -> Flow | None:
    found = opened.flows.get(opened.auth.admin_caller(), flow)
    return found if found.state is FlowState.FINISHED else None


_FRESHNESS = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  internalFreshnessPolicy { ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds } }
  freshnessStatusInfo { freshnessStatus } } } }"""


def test_a_trigger_promises_freshness_until_it_is_paused(node: RunningNode) -> None:
    source = node.home / "fresh.ndjson"
    source.write_text(json.dumps({"id": 1, "name": "a"}) + "\n", encoding="utf-8")
    fetch = polling_source(f"{{kind: FilesGlob, path: {source}}}", COLUMNS)
    polled = add(node, a_manifest("fresh", "Root", fetch))

    def shown(policy: dict[str, int] | None, status: str | None) -> bool:
        found = node.ui.ask(_FRESHNESS, key={"path": ["kamu", "fresh"]})["assetNodeOrError"]
        info = found.get("freshnessStatusInfo") or {"freshnessStatus": None}
        return (found.get("internalFreshnessPolicy"), info["freshnessStatus"]) == (policy, status)

    with node.opened() as opened:
        admin = opened.auth.admin_caller()
        opened.triggers.set(admin, polled, Interval(3600))
        promise = {"failWindowSeconds": 7200, "warnWindowSeconds": 5400}
        # Told when it happens: looking at all promises, which is done once a minute, would not have told it yet.
        wait_until(lambda: shown(promise, "HEALTHY"), every=0.5, patience=120)
        opened.triggers.pause(admin, polled)
        wait_until(lambda: shown(None, None), every=0.5)


_TICKS = """{ sensorsOrError(repositorySelector: {repositoryLocationName: "flows", repositoryName: "__repository__"}) {
  ... on Sensors { results { name sensorState { ticks(limit: 1) { status error { message } } } } } } }"""


def test_sensors_look_at_the_node(node: RunningNode) -> None:
    def ticks() -> dict[str, list[dict[str, object]]]:
        found = node.ui.ask(_TICKS)["sensorsOrError"]["results"]
        return {each["name"]: each["sensorState"]["ticks"] for each in found}

    seen = wait_until(lambda: found if all((found := ticks()).values()) else None, every=1, patience=150)

    assert seen == {name: [{"status": "SKIPPED", "error": None}] for name in ("push_backlog", "stuck_flows")}
