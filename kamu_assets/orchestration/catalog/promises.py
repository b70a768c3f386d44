"""What a trigger promises: how old a dataset may be before somebody should look. Pure."""

from functools import lru_cache

from dagster._core.definitions.freshness import FreshnessState
from pydantic import BaseModel, ConfigDict

from kamu_assets.flows.triggers.rules import Cron, Interval, Trigger
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# Dagster knows no shorter ones.
SHORTEST_SECONDS = 60
# Enough of them show the longest wait between two times of an expression, its nights and weekends among them.
_MOST_TIMES = 3000
_ENOUGH_SECONDS = 62 * 86_400
_FEWEST_TIMES = 4
# Any moment: what is told of a trigger is to be the same whenever it is told.
_BEGIN = 1_704_067_200


class FreshWithin(BaseModel):
    """The ages from which on a dataset is late, and too late."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    warn_seconds: int
    fail_seconds: int


def promised(trigger: Trigger | None) -> FreshWithin | None:
    """What an active rule of time promises: late after one wait and a half, too late when one was left out."""
    if trigger is None or trigger.paused:
        return None
    match trigger.rule:
        case Interval(seconds):
            return _within(seconds)
        case Cron(expression):
            return _within(_longest_wait(expression))
        case _:
            return None


def freshness(within: FreshWithin, last_success: Timestamp | None, now: Timestamp) -> FreshnessState:
    """How a dataset is that was last brought up to date then, be it that there was nothing new."""
    if last_success is None:
        return FreshnessState.UNKNOWN
    age = (now.ns - last_success.ns) // NANOS_PER_SECOND
    if age >= within.fail_seconds:
        return FreshnessState.FAIL
    return FreshnessState.WARN if age >= within.warn_seconds else FreshnessState.PASS


def turns_in(within: FreshWithin, last_success: Timestamp | None, now: Timestamp) -> float | None:
    """The seconds until it is later than it is now, as long as nothing is done; None where it stays as it is."""
    if last_success is None:
        return None
    age = (now.ns - last_success.ns) / NANOS_PER_SECOND
    return next((limit - age for limit in (within.warn_seconds, within.fail_seconds) if age < limit), None)


def _within(wait: int) -> FreshWithin:
    wait = max(wait, SHORTEST_SECONDS)
    return FreshWithin(warn_seconds=wait * 3 // 2, fail_seconds=wait * 2)


@lru_cache(maxsize=4096)
def _longest_wait(expression: str) -> int:
    # Loaded only where it is needed: most triggers name an interval.
    from croniter import CroniterBadDateError, croniter

    times, longest, before = croniter(expression, _BEGIN), 0, None
    try:
        for number in range(_MOST_TIMES):
            at = int(times.get_next(float))
            longest = max(longest, at - before) if before is not None else 0
            before = at
            if at - _BEGIN > _ENOUGH_SECONDS and number >= _FEWEST_TIMES:
                break
    except CroniterBadDateError:
        # There are no more of them.
        pass
    return longest
