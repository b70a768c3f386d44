"""How often, and after how long, what failed is tried again. Pure; chance is given."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.flows.arguments import CompactionArguments, IngestArguments, ResetArguments
from kamu_assets.flows.errors import InvalidFlowConfigError

MAX_RETRIES = 100
LONGEST_DELAY = 7 * 86_400.0


class Backoff(StrEnum):
    """How the delay grows from one attempt to the next."""

    FIXED = "FIXED"
    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"
    EXPONENTIAL_WITH_JITTER = "EXPONENTIAL_WITH_JITTER"


class InvalidRetryPolicyError(InvalidFlowConfigError):
    """The policy is none that anybody can keep."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """So many more attempts after a failure that may pass, the first of them after so long."""

    max_attempts: int
    min_delay_seconds: float
    backoff: Backoff = Backoff.FIXED


@dataclass(frozen=True, slots=True)
class FlowConfig:
    """How the flows of a binding are done."""

    retry: RetryPolicy | None = None
    # Added to what the cause of a flow gives it.
    priority: int = 0
    # Of flows that take some; without them their defaults hold.
    ingest: IngestArguments | None = None
    compaction: CompactionArguments | None = None
    reset: ResetArguments | None = None


PLAIN = FlowConfig()
# Its members that are arguments.
ARGUMENTS = ("ingest", "compaction", "reset")


def check_policy(policy: RetryPolicy) -> None:
    """Raise `InvalidRetryPolicyError` unless the numbers make sense."""
    if not 0 <= policy.max_attempts <= MAX_RETRIES:
        raise InvalidRetryPolicyError(f"there are 0 to {MAX_RETRIES} retries, not {policy.max_attempts}")
    if not 0 <= policy.min_delay_seconds <= LONGEST_DELAY:
        longest = int(LONGEST_DELAY)
        raise InvalidRetryPolicyError(f"a delay has 0 to {longest} s (7 days), not {policy.min_delay_seconds:g}")


def delay(policy: RetryPolicy, *, failed: int, chance: float) -> float:
    """Seconds from the end of the attempt of this number to the next; `chance` lies in [0, 1)."""
    first = policy.min_delay_seconds
    match policy.backoff:
        case Backoff.FIXED:
            seconds = first
        case Backoff.LINEAR:
            seconds = first * failed
        case Backoff.EXPONENTIAL:
            seconds = first * 2.0 ** (failed - 1)
        case Backoff.EXPONENTIAL_WITH_JITTER:
            seconds = first * 2.0 ** (failed - 1) + first * chance
    return min(seconds, LONGEST_DELAY)
