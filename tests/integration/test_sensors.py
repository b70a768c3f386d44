"""The sensors of the flows location: what they find, that they find it once, and what their jobs do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from dagster import DagsterInstance, ResourceDefinition, build_sensor_context
from dagster._core.definitions.sensor_definition import SensorExecutionData

from kamu_assets.clock import ManualClock
from kamu_assets.defs.jobs import flow_definitions
from kamu_assets.defs.sensors import sensors
from kamu_assets.flows.model import FlowOutcome, FlowState, OutcomeKind
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.reports import reporter
from kamu_assets.orchestration.scheduler.watching import Watching
from tests.support.dagster_adapter import Adapter, keeper_of
from tests.support.heart import ADMIN


def tick(adapter: Adapter, name: str, cursor: str | None = None, *, at: Timestamp | None = None) -> SensorExecutionData:
    """What a sensor finds a minute from now, or from another moment."""
    clock = ManualClock(Timestamp((at or adapter.parts.clock.now()).ns + 60 * NANOS_PER_SECOND))

    def watch(instance: DagsterInstance) -> Watching:
        return Watching(instance=instance, database=adapter.parts.database, chains=adapter.parts.chains, clock=clock)

    (found,) = [each for each in sensors(watch) if each.name == name]
    return found.evaluate_tick(build_sensor_context(instance=adapter.instance, cursor=cursor))


def do(adapter: Adapter, job: str, run_config: Mapping[str, Any]) -> None:
    keeper = keeper_of(adapter.parts, report=adapter.reporter.catch_up, settle=adapter.scheduler.reconcile)
    definitions = flow_definitions(keeper=ResourceDefinition.hardcoded_resource(keeper))
    done = definitions.get_job_def(job).execute_in_process(run_config=run_config, instance=adapter.instance)
    assert done.success


def keys(found: SensorExecutionData) -> list[str | None]:
    return [request.run_key for request in found.run_requests or ()]


def test_pushes_that_nobody_followed_are_found_once_and_followed(adapter: Adapter) -> None:
    before = tick(adapter, "push_backlog").cursor
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    head = adapter.parts.push(root.id)

    found = tick(adapter, "push_backlog", before)
    again = tick(adapter, "push_backlog", before)
    after = tick(adapter, "push_backlog", found.cursor)

    assert keys(found) == [f"{root.id}:{head}"]
    assert keys(again) == keys(found)
    assert keys(after) == []
    assert f"all was followed up to message {after.cursor}" in str(after.skip_message)

    (request,) = found.run_requests or ()
    assert adapter.materializations(root) == []
    do(adapter, "catch_up", request.run_config)
    do(adapter, "catch_up", request.run_config)

    assert [each["kamu/head"] for each in adapter.materializations(root)] == [str(head)]
    (flow,) = adapter.parts.flows_of(derivative.id)
    assert flow.state is FlowState.WAITING
    assert keys(tick(adapter, "push_backlog", before)) == []


def test_what_was_followed_is_not_found(adapter: Adapter) -> None:
    before = tick(adapter, "push_backlog").cursor
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    adapter.parts.push(root.id)
    adapter.settle()
    adapter.report()

    assert keys(tick(adapter, "push_backlog", before)) == []
    assert [flow.state for flow in adapter.parts.flows_of(derivative.id)] == [FlowState.FINISHED]


def test_a_push_of_a_moment_ago_is_not_overdue_because_earlier_ones_are_old(adapter: Adapter) -> None:
    before = tick(adapter, "push_backlog").cursor
    root = adapter.pushed_root()
    adapter.parts.push(root.id)
    adapter.report()
    # Half a minute later the first is old enough to be looked at, the second is not.
    at = Timestamp(adapter.parts.clock.now().ns - 30 * NANOS_PER_SECOND)
    adapter.parts.push(root.id)

    assert keys(tick(adapter, "push_backlog", before, at=at)) == []
    assert len(keys(tick(adapter, "push_backlog", before))) == 1


def test_dagster_is_told_in_turns(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "TURN_SECONDS", 0.001)
    root = adapter.pushed_root()
    adapter.parts.push(root.id)

    with adapter.parts.outbox.turn(reporter.CONSUMER) as is_taken:
        assert is_taken
        assert not adapter.reporter.catch_up(root.id)
        assert adapter.materializations(root) == []
    assert adapter.reporter.catch_up(root.id)
    assert not adapter.reporter.catch_up(root.id)


def test_a_flow_whose_run_has_ended_without_it_is_settled_when_it_is_seen_twice(adapter: Adapter) -> None:
    root = adapter.polled_root()
    flow = adapter.parts.flows.request_run(ADMIN, root.id)
    adapter.scheduler.step()
    # As if its worker had died between the two.
    adapter.instance.report_run_canceled(adapter.run_of(root))

    first = tick(adapter, "stuck_flows")
    second = tick(adapter, "stuck_flows", first.cursor)
    repeated = tick(adapter, "stuck_flows", first.cursor)

    assert keys(first) == []
    assert keys(second) == keys(repeated) == [f"stuck:{flow.id}.1"]

    do(adapter, "reconcile_flows", {})
    do(adapter, "reconcile_flows", {})

    (settled,) = adapter.parts.flows_of(root.id)
    assert settled.outcome == FlowOutcome(OutcomeKind.ABORTED)
    assert keys(tick(adapter, "stuck_flows", second.cursor)) == []


def test_a_process_without_a_node_finds_nothing(adapter: Adapter) -> None:
    for sensor in sensors(lambda _instance: None):
        found = sensor.evaluate_tick(build_sensor_context(instance=adapter.instance))

        assert (found.run_requests, found.cursor) == ([], None)
        assert "no node" in str(found.skip_message)


@pytest.mark.parametrize("cursor", [None, "", "not a number", "-1", "[[1]]", "{}", "\u0663"])
def test_a_cursor_that_is_lost_or_makes_no_sense_finds_what_is_undone_and_nothing_else(
    adapter: Adapter, cursor: str | None
) -> None:
    done = adapter.pushed_root()
    adapter.parts.push(done.id)
    adapter.settle()
    adapter.report()
    undone = adapter.pushed_root()
    head = adapter.parts.push(undone.id)

    found, again = (tick(adapter, "push_backlog", cursor) for _ in range(2))
    stuck = tick(adapter, "stuck_flows", cursor)

    # Dagster starts no second run for a key that had one.
    assert keys(found) == keys(again) == [f"{undone.id}:{head}"]
    assert (keys(stuck), stuck.cursor) == ([], "[]")
    adapter.report()


def test_what_was_pushed_while_a_sensor_was_paused_is_found_afterwards(adapter: Adapter) -> None:
    before = tick(adapter, "push_backlog").cursor
    roots = [adapter.pushed_root() for _ in range(2)]
    heads = [adapter.parts.push(root.id) for root in roots for _ in range(2)]

    found = tick(adapter, "push_backlog", before)

    assert {*keys(found)} == {f"{root.id}:{head}" for root, head in zip(roots, heads[1::2], strict=True)}
    adapter.report()
    assert keys(tick(adapter, "push_backlog", before)) == []
