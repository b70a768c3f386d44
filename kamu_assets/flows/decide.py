"""What becomes of a flow whose run came so far. Pure: what is known goes in, a verdict comes out."""

from dataclasses import dataclass
from enum import Enum, auto

from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus

# Attempts of a flow whose workers die.
MOST_LOST = 3
# From this attempt on, whatever ends one counts: what a run itself brings about would go on for ever.
MOST_LEFT = 30


class Step(Enum):
    """What to do about a running flow."""

    WAIT = auto()
    SUBMIT = auto()
    RETRY = auto()
    FINISH = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step and, for FINISH and RETRY, how the attempt ended."""

    step: Step
    outcome: FlowOutcome | None = None


_OUTCOMES = {
    RunState.SUCCEEDED: OutcomeKind.SUCCESS,
    RunState.IDLE: OutcomeKind.UP_TO_DATE,
    RunState.CANCELED: OutcomeKind.ABORTED,
    RunState.FAILED: OutcomeKind.FAILED,
}


def judge(flow: Flow, status: RunStatus, *, lost: int = 0) -> Verdict:
    """What the state of its run means for a running flow that lost so many attempts before."""
    match status.state:
        case RunState.WAITING | RunState.RUNNING:
            return Verdict(Step.WAIT)
        case RunState.MISSING | RunState.LOST | RunState.LEFT if flow.cancel_requested:
            return _finish(OutcomeKind.ABORTED, status.message)
        case RunState.MISSING:
            return Verdict(Step.SUBMIT)
        case RunState.LEFT if flow.attempt < MOST_LEFT:
            return Verdict(Step.RETRY, FlowOutcome(OutcomeKind.ABORTED, status.message))
        case RunState.LOST | RunState.LEFT:
            return _lost(flow, status.message, times=lost + 1)
        case ended:
            return Verdict(Step.FINISH, _outcome(_OUTCOMES[ended], status))


def _lost(flow: Flow, message: str | None, *, times: int) -> Verdict:
    if times < MOST_LOST:
        return Verdict(Step.RETRY, FlowOutcome(OutcomeKind.FAILED, message))
    how_often = "in each" if times == flow.attempt else f"in {times}"
    return _finish(OutcomeKind.FAILED, f"{message}, {how_often} of {flow.attempt} attempts")


def _outcome(kind: OutcomeKind, status: RunStatus) -> FlowOutcome:
    return FlowOutcome(
        kind,
        status.message,
        status.recoverable,
        status.rewritten_input,
        retry_after=status.retry_after,
        by_node=status.by_node,
    )


def _finish(kind: OutcomeKind, message: str | None) -> Verdict:
    return Verdict(Step.FINISH, FlowOutcome(kind, message))
