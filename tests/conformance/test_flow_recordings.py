"""Flows as a real kamu had them: the same calls, at the same times, make the same flows with the same histories."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.flows.planning import FlowRules
from tests.support.flow_answers import differences
from tests.support.flow_calls import Call
from tests.support.flow_scenario import CALLED, RECORDED, SEED, FlowPlayer, scenario
from tests.support.heart import open_heart
from tests.unit.flows.conftest import wired

# As the reference has it.
THROTTLING = FlowRules(throttling_seconds=60)
# Rows that are pretended to be pushed have no event times.
_PRETENDED = "watermarkModified: True there, False here"
_SCENARIOS = sorted(path.stem for path in RECORDED.glob("*.json"))


@pytest.fixture
def player(tmp_path: Path) -> Iterator[FlowPlayer]:
    heart = open_heart(tmp_path)
    yield FlowPlayer(wired(heart, rules=THROTTLING))
    heart.database.close()


@pytest.mark.parametrize("name", _SCENARIOS)
def test_a_recorded_scenario_gives_the_same_flows(player: FlowPlayer, name: str) -> None:
    found: list[str] = []
    for step in scenario(name):
        player.play(step)
        if "graphql" in step.get("request", {}):
            if "repeat" in step or "clock" in step:
                player.settle()
            found += player.compare(step)

    assert found == []


def test_flows_of_the_web_platform_have_the_same_histories(player: FlowPlayer) -> None:
    player.flows.clock.set(CALLED)
    for step in json.loads(SEED.read_text())["steps"]:
        player.play(step)
        player.settle()

    recorded = json.loads((RECORDED / "webui" / "getFlowById.json").read_text())["cases"]
    found: list[str] = []
    for case in recorded:
        flow = case["response"]["data"]["datasets"]["byId"]["flows"]["runs"]["getFlow"].get("flow")
        if flow is not None:
            _, dataset, number = case["variables"]["flowId"].strip("${}").replace("#", " ").split()
            found += differences(flow, player.answer(dataset, int(number)), case["case"])
    assert [each for each in found if not each.endswith(_PRETENDED)] == []


# By operation, what it calls; and by number what is answered otherwise.
_ASKED = {
    "setDatasetFlowTrigger": "setTrigger",
    "setIngestFlowConfig": "setIngestConfig",
    "setCompactionFlowConfig": "setCompactionConfig",
    "datasetTriggerIngestFlow": "triggerIngestFlow",
    "datasetTriggerTransformFlow": "triggerTransformFlow",
    "datasetTriggerCompactionFlow": "triggerCompactionFlow",
}
_ACCEPTED = {488: "derivatives may be computed at certain times as well"}


@pytest.mark.parametrize("operation", _ASKED)
def test_what_the_web_platform_is_refused_is_refused_for_the_same_reason(player: FlowPlayer, operation: str) -> None:
    for step in json.loads(SEED.read_text())["steps"]:
        if step.get("note", "").startswith(("create ", "an empty ")):
            player.play(step)

    found: list[str] = []
    for case in json.loads((RECORDED / "webui" / f"{operation}.json").read_text())["cases"]:
        if case["as"] != "alice" or case["order"] in _ACCEPTED:
            continue
        call = Call(_ASKED[operation], {name: value for name, value in case["variables"].items() if value is not None})
        player.do(call, call.arguments["datasetId"], by=case["as"])
        found += player.compare_refusal(call, case["response"], case["case"])
    assert found == []
