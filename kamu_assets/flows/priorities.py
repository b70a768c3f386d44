"""Which flows go first. Pure."""

from collections.abc import Sequence

from kamu_assets.flows.causes import MANUAL_KINDS, CauseKind, FlowCause
from kamu_assets.flows.errors import InvalidFlowConfigError

# What somebody starts in Dagster's UI has 0 as well.
MANUAL, REACTIVE, SCHEDULED, MAINTENANCE = 0, -100, -200, -300
# Enough to put a dataset before or behind all others of its account.
LARGEST_CHANGE = 1000


class InvalidPriorityError(InvalidFlowConfigError):
    """The number is too large."""


def check_priority(change: int) -> None:
    """Raise `InvalidPriorityError` unless a dataset's flows may be put forward, or back, by so much."""
    if abs(change) > LARGEST_CHANGE:
        raise InvalidPriorityError(f"a priority is -{LARGEST_CHANGE} to {LARGEST_CHANGE}, not {change}")


def priority(causes: Sequence[FlowCause], change: int = 0, *, is_maintenance: bool = False) -> int:
    """That of the most urgent cause: somebody asked, an input changed, or a time came; upkeep can wait."""
    timed = MAINTENANCE if is_maintenance else SCHEDULED
    return max((_of(cause, timed) for cause in causes), default=timed) + change


def _of(cause: FlowCause, timed: int) -> int:
    if cause.kind in MANUAL_KINDS:
        return MANUAL
    return REACTIVE if cause.kind is CauseKind.INPUT_UPDATED else timed
