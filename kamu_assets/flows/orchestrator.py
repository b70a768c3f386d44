"""What flows need of whoever executes them. The Dagster adapter implements it."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from kamu_assets.flows.model import Flow
from kamu_assets.odf.identity import DatasetID


class RunState(Enum):
    """What became of the run of an attempt."""

    # It does not exist, or was created and never submitted.
    MISSING = auto()
    WAITING = auto()
    RUNNING = auto()
    SUCCEEDED = auto()
    # It succeeded and found nothing to do.
    IDLE = auto()
    FAILED = auto()
    CANCELED = auto()
    # Its worker died; another attempt may succeed.
    LOST = auto()
    # Its worker was told to stop, as when the node stops, or the database went away: another attempt begins.
    LEFT = auto()


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The state of a run and, when it ended badly, the reason."""

    state: RunState
    message: str | None = None
    # Of a failure: whether the same work may succeed another time, and the input that was rewritten if that is why.
    recoverable: bool = True
    rewritten_input: DatasetID | None = None
    # Of a failure: seconds that whoever was asked wants to be left alone.
    retry_after: float | None = None
    # Of a failure: whether the node alone is to blame.
    by_node: bool = False


class Orchestrator(Protocol):
    """Executes one run per attempt of a flow."""

    def submit(self, flow: Flow) -> None:
        """Create and start the run `flow.run_id`. Repeating it is harmless, whatever became of the run."""

    def status(self, run_id: str) -> RunStatus:
        """What became of the run."""

    def cancel(self, run_id: str) -> None:
        """Stop the run, queued or running; nothing happens when it has ended."""
