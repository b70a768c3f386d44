"""Which flows are started when engines have few places."""

from __future__ import annotations

import itertools
from dataclasses import replace

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.model import Flow, FlowState, FlowType
from kamu_assets.flows.scheduling.places import WAITING_BEHIND, EnginePlaces
from kamu_assets.odf.identity import DatasetID
from tests.support.builders import START

_NUMBERS = itertools.count(1)
_NAMES: dict[DatasetID | None, str] = {}


def a_dataset(name: str) -> DatasetID:
    dataset = DatasetID.seeded(name.encode())
    _NAMES[dataset] = name
    return dataset


def a_flow(name: str) -> Flow:
    return Flow(
        id=next(_NUMBERS),
        scope=a_dataset(name),
        type=FlowType.EXECUTE_TRANSFORM,
        causes=(FlowCause(CauseKind.MANUAL),),
        state=FlowState.WAITING,
        created_at=START,
    )


def places(*names: str) -> EnginePlaces:
    """Flink has one place; of these flows each is named by its engine and a number, roots by a number alone."""
    engines = {a_dataset(name): name.rstrip("0123456789") or None for name in names}
    return EnginePlaces({"flink": 1}, engines.__getitem__)


def chosen(waiting: list[str], *, running: list[str], room: int = 10) -> list[str]:
    flows = places(*waiting, *running).choose(map(a_flow, waiting), running=map(a_flow, running), room=room)
    return [_NAMES[flow.dataset_id] for flow in flows]


def test_a_full_engine_gets_no_more_than_what_waits_right_behind() -> None:
    waiting = [f"flink{number}" for number in range(9)]

    assert chosen(waiting, running=[]) == waiting[: 1 + WAITING_BEHIND]
    assert chosen(waiting, running=["flink10"]) == waiting[:WAITING_BEHIND]
    assert chosen(waiting, running=["flink10", "flink11"]) == []


def test_flows_of_other_engines_and_of_none_pass() -> None:
    waiting = ["flink1", "flink2", "datafusion1", "3", "datafusion2"]

    assert chosen(waiting, running=["flink10", "flink11"]) == ["datafusion1", "3", "datafusion2"]


def test_there_is_room_for_so_many() -> None:
    assert chosen(["1", "flink1", "2"], running=[], room=2) == ["1", "flink1"]


def test_flows_that_get_no_run_are_told_with_their_engine() -> None:
    waiting = [*(f"flink{number}" for number in range(3)), "7", "spark1"]
    running = [a_flow("flink8")]

    held = places(*waiting, "flink8").held_up([*map(a_flow, waiting)], running=running)

    assert [(_NAMES[flow.dataset_id], engine) for flow, engine in held] == [("flink1", "flink"), ("flink2", "flink")]


def test_who_has_a_place_is_who_has_begun() -> None:
    begun, queued, other = replace(a_flow("flink1"), started_at=START), a_flow("flink2"), a_flow("7")

    assert places("flink1", "flink2", "7").holders("flink", [begun, queued, other]) == [begun]
