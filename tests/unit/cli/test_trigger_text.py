"""What is told of flows that have not ended."""

from __future__ import annotations

from dataclasses import replace

from kamu_api.cli.flows.trigger_text import live_facts, live_text
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.model import Flow, FlowState, FlowType
from kamu_assets.odf.identity import DatasetID
from tests.support.builders import START

WAITING = Flow(
    id=1,
    scope=DatasetID.seeded(b"dataset"),
    type=FlowType.EXECUTE_TRANSFORM,
    causes=(FlowCause(CauseKind.MANUAL),),
    state=FlowState.WAITING,
    created_at=START,
)


def test_a_flow_tells_what_it_waits_for() -> None:
    facts = live_facts([replace(WAITING, waits_for="waits for a place at engine flink")])

    assert facts is not None
    assert facts["waitsFor"] == "waits for a place at engine flink"
    assert live_text(facts).startswith("waiting since 2")
    assert live_text(facts).endswith(" UTC; it waits for a place at engine flink")


def test_a_flow_that_waits_for_nothing_in_particular_tells_its_state_only() -> None:
    facts = live_facts([WAITING])

    assert facts is not None
    assert facts["waitsFor"] is None
    assert live_text(facts).endswith(" UTC")


def test_what_an_executor_has_comes_first_and_what_none_has_yet_waits() -> None:
    queued = replace(WAITING, state=FlowState.RUNNING, attempt=1)
    retrying = replace(WAITING, state=FlowState.RETRYING, attempt=1)

    told = [
        live_facts(flows) for flows in ([queued], [queued, retrying], [retrying, replace(queued, started_at=START)])
    ]

    assert [facts and facts["state"] for facts in told] == ["WAITING", "RETRYING", "RUNNING"]
