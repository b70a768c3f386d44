"""What becomes of a flow whose run came so far. Pure: what is known goes in, a verdict comes out."""

from dataclasses import dataclass
from enum import Enum, auto

from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus

MAX_ATTEMPTS = 3


class Step(Enum):
    """What to do about a running flow."""

    WAIT = auto()
    SUBMIT = auto()
    RETRY = auto()
    FINISH = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step and, for FINISH, the outcome."""

    step: Step
    outcome: FlowOutcome | None = None


_OUTCOMES = {
    RunState.SUCCEEDED: OutcomeKind.SUCCESS,
    RunState.IDLE: OutcomeKind.UP_TO_DATE,
    RunState.CANCELED: OutcomeKind.ABORTED,
    RunState.FAILED: OutcomeKind.FAILED,
}


def judge(flow: Flow, status: RunStatus) -> Verdict:
    """What the state of its run means for a running flow."""
    match status.state:
        case RunState.WAITING | RunState.RUNNING:
            return Verdict(Step.WAIT)
        case RunState.MISSING | RunState.LOST if flow.cancel_requested:
            return _finish(OutcomeKind.ABORTED, status.message)
        case RunState.MISSING:
            return Verdict(Step.SUBMIT)
        case RunState.LOST if flow.attempt < MAX_ATTEMPTS:
            return Verdict(Step.RETRY)
        case RunState.LOST:
            return _finish(OutcomeKind.FAILED, f"{status.message}, in each of {flow.attempt} attempts")
        case ended:
            return Verdict(Step.FINISH, _outcome(_OUTCOMES[ended], status))


def _outcome(kind: OutcomeKind, status: RunStatus) -> FlowOutcome:
    return FlowOutcome(kind, status.message, status.recoverable, status.rewritten_input, retry_after=status.retry_after)


def _finish(kind: OutcomeKind, message: str | None) -> Verdict:
    return Verdict(Step.FINISH, FlowOutcome(kind, message))
