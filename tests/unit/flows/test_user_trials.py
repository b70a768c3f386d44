"""What users of such systems ran into: the trials of their reports, by their ids."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.history.listing import FlowLists
from kamu_assets.flows.model import Binding, FlowOutcome, FlowState, FlowType, OutcomeKind, WaitKind
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.triggers.rules import Interval, Reactive
from kamu_assets.odf.timestamp import Timestamp
from tests.support.heart import ADMIN, Heart
from tests.unit.flows.conftest import Flows, wired

DONE = FlowOutcome(OutcomeKind.SUCCESS)
FAILED = FlowOutcome(OutcomeKind.FAILED, "the server answered 404 Not Found")
AT_ONCE = 50


def test_what_is_asked_for_as_data_comes_is_never_lost(flows: Flows) -> None:
    """KF-01"""
    root = flows.root()
    reader = flows.derivative("reader", root)

    pushing = Lock()

    def ask(number: int) -> int:
        if number % 5 == 0:
            with pushing:
                flows.heart.add_data(root.id, records=1)
        return flows.service.request_run(ADMIN, reader.id).id

    with ThreadPoolExecutor(8) as users:
        asked = list(users.map(ask, range(AT_ONCE)))
    flows.scheduler.step()
    while running := flows.of(reader, FlowState.RUNNING):
        flows.service.run_finished(str(running[0].run_id), DONE)
        flows.clock.advance(1)
        flows.scheduler.step()

    assert {*asked} <= {flow.id for flow in flows.of(reader, FlowState.FINISHED)}
    assert flows.of(reader, FlowState.WAITING) == []


@pytest.mark.parametrize("waits", [False, True])
def test_a_restart_makes_no_flow(heart: Heart, flows: Flows, *, waits: bool) -> None:
    """KF-02"""
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.set(ADMIN, reader.id, Reactive(25, 3_600))
    flows.push(root)
    flows.scheduler.step()
    if not waits:
        flows.clock.advance(3_600)
        flows.scheduler.step()
        flows.service.run_finished(str(flows.only(reader).run_id), DONE)
        flows.scheduler.step()
    before = flows.of(reader)

    for _ in range(3):
        flows.clock.advance(10)
        restarted = wired(heart, orchestrator=flows.orchestrator)
        restarted.scheduler.reconcile()
        restarted.scheduler.step()

    assert flows.of(reader) == before
    assert (before[0].condition is not None) is waits


@pytest.mark.parametrize("stop_after", [None, 1])
def test_a_trigger_whose_run_failed_says_when_it_goes_on_or_why_not(flows: Flows, stop_after: int | None) -> None:
    """KF-03"""
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60), stop_after=stop_after)
    flows.scheduler.step()

    flows.service.run_finished(str(flows.only(root).run_id), FAILED)
    due = flows.scheduler.step()

    (told,) = flows.triggers.list(ADMIN)
    assert (told.next_due, told.trigger.stop_reason is not None) == (due, stop_after is not None)
    assert (due is None) is (stop_after is not None)


def test_who_asks_starts_what_waits_for_a_batch(flows: Flows) -> None:
    """KF-05"""
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.triggers.set(ADMIN, reader.id, Reactive(100, 3_600))
    flows.push(root)
    flows.scheduler.step()
    waiting = flows.only(reader)

    flows.service.request_run(ADMIN, reader.id)
    flows.scheduler.step()

    running = flows.only(reader)
    assert (running.id, running.state) == (waiting.id, FlowState.RUNNING)
    assert [cause.kind for cause in running.causes] == [CauseKind.INPUT_UPDATED, CauseKind.MANUAL]


def test_a_flow_is_listed_from_its_first_moment_to_its_end(flows: Flows) -> None:
    """KF-06"""
    root = flows.root()
    seen: list[tuple[FlowState, int, int]] = []

    def look() -> None:
        (listed,) = flows.service.list(ADMIN, dataset=root.id)
        assert listed.id == asked.id
        seen.append((listed.status, flows.service.load().waiting, flows.service.load().running))

    asked = flows.service.request_run(ADMIN, root.id)
    look()
    flows.scheduler.step()
    look()
    run_id = str(flows.only(root).run_id)
    flows.service.run_started(run_id)
    look()
    flows.service.run_finished(run_id, DONE)
    look()

    assert [status for status, _, _ in seen] == ["WAITING", "WAITING", "RUNNING", "FINISHED"]
    assert [waiting + running for _, waiting, running in seen] == [1, 1, 1, 0]


@pytest.mark.parametrize("recoverable", [True, False])
def test_a_flow_that_failed_has_an_end_and_a_duration(flows: Flows, *, recoverable: bool) -> None:
    """KF-13"""
    root = flows.root()
    asked = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    run_id = str(flows.only(root).run_id)
    flows.service.run_started(run_id)
    flows.clock.advance(7)

    flows.service.run_finished(run_id, FlowOutcome(OutcomeKind.FAILED, "why", recoverable=recoverable))

    ended = flows.only(root)
    assert ended.started_at is not None
    assert ended.finished_at == flows.clock.now()
    assert ended.finished_at.ns - ended.started_at.ns == 7_000_000_000
    (attempt,) = flows.service.attempts(ADMIN, asked.id)
    assert (attempt.started_at, attempt.finished_at) == (ended.started_at, ended.finished_at)


def test_a_trigger_that_goes_on_within_the_pause_keeps_to_the_pause(heart: Heart) -> None:
    """KF-14"""
    flows = wired(heart, rules=FlowRules(throttling_seconds=60))
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(1))
    flows.scheduler.step()
    flows.service.run_finished(str(flows.only(root).run_id), DONE)
    allowed = Timestamp(flows.clock.now().ns + 60_000_000_000)
    flows.scheduler.step()

    flows.clock.advance(10)
    flows.triggers.pause(ADMIN, root.id)
    flows.triggers.resume(ADMIN, root.id)

    assert flows.scheduler.step() == allowed
    (told,) = flows.triggers.list(ADMIN)
    assert told.next_due == allowed
    waiting = flows.of(root, FlowState.WAITING)[-1]
    assert waiting.condition is not None
    assert waiting.condition.kind is WaitKind.THROTTLING


def test_what_comes_between_two_looks_is_all_taken(flows: Flows) -> None:
    """DS-04"""
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.scheduler.step()

    heads = [flows.heart.add_data(root.id) for _ in range(4)]
    flows.scheduler.step()

    (cause,) = flows.only(reader).causes
    # One run reads up to the newest head: whatever lies between is the coordinator's to read.
    assert (cause.head, cause.records) == (heads[-1], 40)


def test_failures_are_told_at_once_however_many(flows: Flows) -> None:
    """DS-06: what `status` and alerts look at names every one as soon as it is there."""
    root = flows.root()
    began = flows.clock.now()
    flows.clock.advance(1)
    for number in range(40):
        flows.service.run_finished(f"ui-{number}", FAILED, bindings=[Binding(root.id, FlowType.INGEST)])

    told = FlowLists(flows.heart.database).failed_since(ADMIN, began, limit=39)

    assert told.total == 40
    assert [flow.run_id for flow in told.flows] == [f"ui-{number}" for number in range(39, 0, -1)]


def test_many_changes_are_taken_in_step_by_step(flows: Flows) -> None:
    """DS-20: every look gets somewhere, and what was heard once is not heard again."""
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.scheduler.step()
    for _ in range(60):
        flows.heart.add_data(root.id, records=1)
    counted = []
    for _ in range(10):
        flows.scheduler.step()
        counted.append(sum(cause.records for flow in flows.of(reader) for cause in flow.causes))

    assert counted == sorted(counted)
    assert counted[-1] == counted[-2] == 60
