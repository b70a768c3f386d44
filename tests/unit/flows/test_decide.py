import pytest

from kamu_assets.flows.decide import (
    MAX_ATTEMPTS,
    InvalidTriggerError,
    Step,
    Verdict,
    check_rule,
    fired,
    first_due,
    judge,
    next_due,
)
from kamu_assets.flows.model import (
    CauseKind,
    Cron,
    Flow,
    FlowCause,
    FlowOutcome,
    FlowState,
    FlowType,
    Interval,
    OutcomeKind,
    Trigger,
    TriggerRule,
)
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_dataset_id

NOON = Timestamp.parse("2024-02-29T12:00:00Z")


def at(text: str) -> Timestamp:
    return Timestamp.parse(text)


def a_flow(*, attempt: int = 1, cancel_requested: bool = False) -> Flow:
    return Flow(
        id="flow",
        dataset_id=a_dataset_id(),
        type=FlowType.INGEST,
        cause=FlowCause(CauseKind.MANUAL),
        state=FlowState.RUNNING,
        created_at=NOON,
        attempt=attempt,
        run_id="run",
        cancel_requested=cancel_requested,
    )


@pytest.mark.parametrize(
    ("rule", "after", "due"),
    [
        (Interval(90), "2024-02-29T12:00:00.5Z", "2024-02-29T12:01:30.5Z"),
        (Cron("0 0 * * *"), "2024-02-29T12:00:00Z", "2024-03-01T00:00:00Z"),
        (Cron("0 12 * * *"), "2024-02-29T12:00:00Z", "2024-03-01T12:00:00Z"),
        (Cron("*/15 * * * *"), "2024-02-29T12:14:59.999Z", "2024-02-29T12:15:00Z"),
        (Cron("0 9 * * MON"), "2024-02-29T12:00:00Z", "2024-03-04T09:00:00Z"),
    ],
)
def test_a_rule_names_the_first_time_after_a_moment(rule: TriggerRule, after: str, due: str) -> None:
    assert next_due(rule, at(after)) == at(due)


@pytest.mark.parametrize(
    "rule", [Interval(0), Interval(-5), Interval(10**10), Cron("61 * * * *"), Cron("* * * * * *"), Cron("daily")]
)
def test_a_rule_without_times_is_refused(rule: TriggerRule) -> None:
    with pytest.raises(InvalidTriggerError):
        check_rule(rule)


def test_a_day_that_never_comes_is_told() -> None:
    with pytest.raises(InvalidTriggerError, match="'0 0 31 2 \\*' names no day that exists"):
        first_due(Cron("0 0 31 2 *"), NOON, None)


def test_times_missed_while_the_node_was_down_fire_once() -> None:
    trigger = Trigger(a_dataset_id(), Cron("* * * * *"), next_due=at("2024-02-01T00:00:00Z"))

    assert fired(trigger, NOON).next_due == at("2024-02-29T12:01:00Z")


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (RunState.MISSING, Verdict(Step.SUBMIT)),
        (RunState.WAITING, Verdict(Step.WAIT)),
        (RunState.RUNNING, Verdict(Step.WAIT)),
        (RunState.SUCCEEDED, Verdict(Step.FINISH, FlowOutcome(OutcomeKind.SUCCESS))),
        (RunState.IDLE, Verdict(Step.FINISH, FlowOutcome(OutcomeKind.UP_TO_DATE))),
        (RunState.FAILED, Verdict(Step.FINISH, FlowOutcome(OutcomeKind.FAILED))),
        (RunState.CANCELED, Verdict(Step.FINISH, FlowOutcome(OutcomeKind.ABORTED))),
        (RunState.LOST, Verdict(Step.RETRY)),
    ],
)
def test_the_state_of_a_run_decides_about_its_flow(state: RunState, verdict: Verdict) -> None:
    assert judge(a_flow(), RunStatus(state)) == verdict


def test_a_lost_run_is_retried_up_to_the_limit() -> None:
    lost = RunStatus(RunState.LOST, "the worker process died")

    assert judge(a_flow(attempt=MAX_ATTEMPTS - 1), lost).step is Step.RETRY
    last = judge(a_flow(attempt=MAX_ATTEMPTS), lost)
    assert last.outcome is not None
    assert last.outcome.kind is OutcomeKind.FAILED
    assert last.outcome.message == "the worker process died, in each of 3 attempts"


@pytest.mark.parametrize("state", [RunState.MISSING, RunState.LOST])
def test_nothing_is_started_again_for_a_flow_that_was_canceled(state: RunState) -> None:
    verdict = judge(a_flow(cancel_requested=True), RunStatus(state))

    assert verdict == Verdict(Step.FINISH, FlowOutcome(OutcomeKind.ABORTED))


def test_an_interval_counts_from_the_last_flow() -> None:
    hour = Interval(3600)

    assert first_due(hour, NOON, None) == NOON
    assert first_due(hour, NOON, Timestamp(NOON.ns - 600 * 10**9)) == Timestamp(NOON.ns + 3000 * 10**9)
    assert first_due(hour, NOON, Timestamp(NOON.ns - 7200 * 10**9)) == NOON
