"""Types, states, outcomes and orders of flows as commands call them; those that JSON has are taken, too."""

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kamu_assets.flows.model import FlowType


class TypeName(StrEnum):
    """Types of flows."""

    INGEST = "ingest"
    EXECUTE_TRANSFORM = "transform"
    HARD_COMPACTION = "compaction"
    RESET = "reset"
    RESET_TO_METADATA = "reset-to-metadata"
    VERIFY = "verify"
    SYSTEM_GC = "gc"
    WEBHOOK_DELIVER = "webhook"

    @property
    def type(self) -> "FlowType":
        from kamu_assets.flows.model import FlowType

        return FlowType[self.name]


class StatusName(StrEnum):
    """States of flows."""

    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    FINISHED = "finished"


class OutcomeName(StrEnum):
    """How flows end."""

    SUCCESS = "success"
    UP_TO_DATE = "up-to-date"
    FAILED = "failed"
    ABORTED = "aborted"


class OrderName(StrEnum):
    """Orders of lists."""

    NEWEST = "newest"
    QUEUE = "queue"
    SCHEDULED_FOR_ACTIVATION = "scheduled"


def _typed(name: str) -> str:
    return name.lower().replace("_", "-")


_IN_JSON: Final = {_typed(each.name): each.value for each in TypeName}


def as_typed(token: str) -> str:
    """`transform` for `EXECUTE_TRANSFORM`, `up-to-date` for `UP_TO_DATE`; other words in small letters."""
    typed = _typed(token)
    return _IN_JSON.get(typed, typed)


# Of commands that take such names.
LENIENT: Final = {"token_normalize_func": as_typed}
