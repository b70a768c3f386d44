import pytest

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.decide import (
    MOST_LEFT,
    MOST_LOST,
    Step,
    Verdict,
    judge,
)
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_dataset_id

NOON = Timestamp.parse("2024-02-29T12:00:00Z")


def at(text: str) -> Timestamp:
    return Timestamp.parse(text)


def a_flow(*, attempt: int = 1, cancel_requested: bool = False) -> Flow:
    return Flow(
        id=1,
        scope=a_dataset_id(),
        type=FlowType.INGEST,
        causes=(FlowCause(CauseKind.MANUAL),),
        state=FlowState.RUNNING,
        created_at=NOON,
        attempt=attempt,
        run_id="run",
        cancel_requested=cancel_requested,
    )


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
        (RunState.LOST, Verdict(Step.RETRY, FlowOutcome(OutcomeKind.FAILED))),
        (RunState.LEFT, Verdict(Step.RETRY, FlowOutcome(OutcomeKind.ABORTED))),
    ],
)
def test_the_state_of_a_run_decides_about_its_flow(state: RunState, verdict: Verdict) -> None:
    assert judge(a_flow(), RunStatus(state)) == verdict


def test_a_lost_run_is_retried_up_to_the_limit() -> None:
    lost = RunStatus(RunState.LOST, "the worker process died")

    assert judge(a_flow(attempt=9), lost, lost=MOST_LOST - 2).step is Step.RETRY
    assert judge(a_flow(attempt=9), RunStatus(RunState.LEFT), lost=9).step is Step.RETRY
    assert judge(a_flow(attempt=MOST_LEFT), RunStatus(RunState.LEFT), lost=9).step is Step.FINISH
    for attempt, told in ((3, "in each of 3 attempts"), (4, "in 3 of 4 attempts")):
        last = judge(a_flow(attempt=attempt), lost, lost=MOST_LOST - 1)
        assert last == Verdict(Step.FINISH, FlowOutcome(OutcomeKind.FAILED, f"the worker process died, {told}"))


@pytest.mark.parametrize("state", [RunState.MISSING, RunState.LOST, RunState.LEFT])
def test_nothing_is_started_again_for_a_flow_that_was_canceled(state: RunState) -> None:
    verdict = judge(a_flow(cancel_requested=True), RunStatus(state))

    assert verdict == Verdict(Step.FINISH, FlowOutcome(OutcomeKind.ABORTED))
