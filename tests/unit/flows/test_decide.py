import pytest

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.decide import (
    MAX_ATTEMPTS,
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
