"""Which flows go first. Pure."""

from collections.abc import Sequence

from kamu_assets.errors import InvalidError
from kamu_assets.flows.causes import MANUAL_KINDS, CauseKind, FlowCause

# What somebody starts in Dagster's UI has 0 as well.
MANUAL, REACTIVE, SCHEDULED = 0, -100, -200
# Enough to put a dataset before or behind all others of its account.
LARGEST_CHANGE = 1000


class InvalidPriorityError(InvalidError):
    """The number is too large."""


def check_priority(change: int) -> None:
    """Raise `InvalidPriorityError` unless a dataset's flows may be put forward, or back, by so much."""
    if abs(change) > LARGEST_CHANGE:
        raise InvalidPriorityError(f"a priority is -{LARGEST_CHANGE} to {LARGEST_CHANGE}, not {change}")


def priority(causes: Sequence[FlowCause], change: int = 0) -> int:
    """That of the most urgent cause: somebody asked, an input changed, or a time came."""
    return max(map(_of, causes), default=SCHEDULED) + change


def _of(cause: FlowCause) -> int:
    if cause.kind in MANUAL_KINDS:
        return MANUAL
    return REACTIVE if cause.kind is CauseKind.INPUT_UPDATED else SCHEDULED
