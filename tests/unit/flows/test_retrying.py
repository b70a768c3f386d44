"""What is tried again, when, and with what history."""

from __future__ import annotations

import pytest

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.model import FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.retrying import (
    LONGEST_DELAY,
    Backoff,
    FlowConfig,
    InvalidRetryPolicyError,
    RetryPolicy,
    check_policy,
    delay,
)
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.odf.timestamp import Timestamp
from tests.support.heart import ADMIN, Heart
from tests.unit.flows.conftest import Flows, wired

PASSING = FlowOutcome(OutcomeKind.FAILED, "the network is away")
LASTING = FlowOutcome(OutcomeKind.FAILED, "no such column", recoverable=False)
DONE = FlowOutcome(OutcomeKind.SUCCESS)
TWICE = FlowConfig(RetryPolicy(2, 10, Backoff.LINEAR))


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff.FIXED, [10, 10, 10]),
        (Backoff.LINEAR, [10, 20, 30]),
        (Backoff.EXPONENTIAL, [10, 20, 40]),
        (Backoff.EXPONENTIAL_WITH_JITTER, [15, 25, 45]),
    ],
)
def test_delays_grow_as_the_policy_says(backoff: Backoff, delays: list[float]) -> None:
    policy = RetryPolicy(3, 10, backoff)

    assert [delay(policy, failed=number, chance=0.5) for number in (1, 2, 3)] == delays


def test_no_delay_is_longer_than_a_week() -> None:
    assert delay(RetryPolicy(100, 10, Backoff.EXPONENTIAL), failed=100, chance=0) == LONGEST_DELAY


@pytest.mark.parametrize("policy", [RetryPolicy(-1, 1), RetryPolicy(101, 1), RetryPolicy(1, -1), RetryPolicy(1, 1e9)])
def test_a_policy_that_nobody_can_keep_is_refused(policy: RetryPolicy) -> None:
    with pytest.raises(InvalidRetryPolicyError):
        check_policy(policy)


def started(flows: Flows, config: FlowConfig = TWICE) -> int:
    """A flow whose run is at work."""
    root = flows.root()
    flows.configs.set(ADMIN, root.id, config)
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    return flow.id


def ended(flows: Flows, flow: int, outcome: FlowOutcome) -> None:
    flows.service.run_finished(str(flows.service.get(ADMIN, flow).run_id), outcome)


def test_what_may_pass_is_tried_again_and_again_and_then_fails(flows: Flows) -> None:
    flow = started(flows)

    for seconds in (10, 20):
        ended(flows, flow, PASSING)
        due = Timestamp(flows.clock.now().ns + seconds * 1_000_000_000)
        assert flows.scheduler.step() == due
        assert flows.service.get(ADMIN, flow).status is FlowState.RETRYING
        flows.clock.advance(seconds)
        flows.scheduler.step()
    ended(flows, flow, PASSING)

    known = flows.service.get(ADMIN, flow)
    assert (known.state, known.outcome) == (FlowState.FINISHED, PASSING)
    attempts = flows.service.attempts(ADMIN, flow)
    assert [(each.number, each.outcome) for each in attempts] == [(1, PASSING), (2, PASSING), (3, PASSING)]
    assert len(set(flows.orchestrator.submitted)) == 3
    events = flows.service.events(ADMIN, flow)
    told = [event.what.scheduled_at for event in events if event.kind is EventKind.ATTEMPT_FINISHED]
    assert [when is not None for when in told] == [True, True, False]


def test_what_stays_wrong_is_not_tried_again(flows: Flows) -> None:
    flow = started(flows)

    ended(flows, flow, LASTING)

    assert flows.service.get(ADMIN, flow).outcome == LASTING


def test_a_retry_that_succeeds_ends_the_flow_well(flows: Flows) -> None:
    flow = started(flows)
    ended(flows, flow, PASSING)
    flows.clock.advance(10)
    flows.scheduler.step()

    ended(flows, flow, DONE)

    known = flows.service.get(ADMIN, flow)
    assert (known.outcome, known.attempt) == (DONE, 2)
    assert known.root_run_id == known.parent_run_id == flows.orchestrator.submitted[0]


def test_workers_that_die_or_stop_use_up_no_retries_and_failures_no_patience_with_them(flows: Flows) -> None:
    flow = started(flows, FlowConfig(RetryPolicy(2, 10)))
    lost, left = RunState.LOST, RunState.LEFT
    ends: list[RunState | FlowOutcome] = [lost, left, PASSING, left, PASSING, left, lost, PASSING]

    for end in ends:
        assert flows.service.get(ADMIN, flow).state is FlowState.RUNNING
        if isinstance(end, RunState):
            flows.orchestrator.become(flows.service.get(ADMIN, flow).run_id, end, "its worker went")
            flows.scheduler.reconcile()
        else:
            ended(flows, flow, end)
            flows.clock.advance(10)
            flows.scheduler.step()

    assert flows.service.get(ADMIN, flow).outcome == PASSING
    kinds = [each.outcome and each.outcome.kind for each in flows.service.attempts(ADMIN, flow)]
    assert [kind == OutcomeKind.ABORTED for kind in kinds] == [end is RunState.LEFT for end in ends]


def test_who_asks_need_not_wait_for_the_retry(flows: Flows) -> None:
    flow = started(flows)
    ended(flows, flow, PASSING)
    flows.clock.advance(1)

    dataset = flows.service.get(ADMIN, flow).dataset_id
    assert dataset is not None
    asked = flows.service.request_run(ADMIN, dataset)
    flows.scheduler.step()

    # The same account has asked for it before.
    assert asked.id == flow
    assert flows.service.get(ADMIN, flow).state is FlowState.RUNNING


def test_who_asks_for_the_retry_keeps_to_the_pause(heart: Heart) -> None:
    flows = wired(heart, rules=FlowRules(throttling_seconds=60))
    flow = started(flows, FlowConfig(RetryPolicy(1, 3_600)))
    ended(flows, flow, PASSING)
    allowed = Timestamp(flows.clock.now().ns + 60_000_000_000)
    flows.clock.advance(10)

    dataset = flows.service.get(ADMIN, flow).dataset_id
    assert dataset is not None
    asked = flows.service.request_run(ADMIN, dataset)

    assert (asked.id, asked.state, asked.scheduled_at) == (flow, FlowState.RETRYING, allowed)
    assert flows.scheduler.step() == allowed


def test_a_rule_that_is_set_leaves_the_retry_its_time(flows: Flows) -> None:
    flow = started(flows, FlowConfig(RetryPolicy(1, 3_600)))
    ended(flows, flow, PASSING)
    waiting = flows.service.get(ADMIN, flow)
    assert waiting.dataset_id is not None
    flows.clock.advance(10)

    planned = flows.triggers.set(ADMIN, waiting.dataset_id, Interval(60))

    assert planned.next_due == waiting.scheduled_at
    assert flows.scheduler.step() == waiting.scheduled_at


def test_new_data_waits_with_the_retry(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.configs.set(ADMIN, reader.id, TWICE)
    flows.push(root)
    flows.scheduler.step()
    flow = flows.only(reader)
    ended(flows, flow.id, PASSING)
    due = flows.only(reader).scheduled_at

    flows.push(root)
    flows.scheduler.step()

    waiting = flows.only(reader)
    assert (waiting.state, waiting.scheduled_at) == (FlowState.RETRYING, due)
    assert [(cause.kind, cause.records) for cause in waiting.causes] == [(CauseKind.INPUT_UPDATED, 20)]


def test_a_flow_that_waits_for_its_retry_can_be_dropped(flows: Flows) -> None:
    flow = started(flows)
    ended(flows, flow, PASSING)

    flows.service.cancel(ADMIN, flow)

    assert flows.service.get(ADMIN, flow).outcome == FlowOutcome(OutcomeKind.ABORTED)
    assert flows.scheduler.step() is None


def test_an_outcome_that_only_the_run_tells_is_retried_too(flows: Flows) -> None:
    flow = started(flows)
    run_id = str(flows.service.get(ADMIN, flow).run_id)
    flows.orchestrator.runs[run_id] = RunStatus(RunState.FAILED, "away", recoverable=True)

    flows.scheduler.reconcile()

    assert flows.service.get(ADMIN, flow).state is FlowState.RETRYING


def test_the_settings_say_what_holds_for_all(heart: Heart) -> None:
    flows = wired(heart, rules=FlowRules(retries={FlowType.INGEST: RetryPolicy(1, 5)}))
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()

    ended(flows, flow.id, PASSING)

    assert flows.only(root).state is FlowState.RETRYING


def test_what_is_set_holds_for_flows_that_begin_to_wait_after_it(flows: Flows) -> None:
    root = flows.root()
    flow = flows.service.request_run(ADMIN, root.id)
    flows.configs.set(ADMIN, root.id, TWICE)
    flows.scheduler.step()

    ended(flows, flow.id, PASSING)

    assert flows.only(root).outcome == PASSING
