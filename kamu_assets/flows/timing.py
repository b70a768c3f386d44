"""Which times a rule of time names. Pure."""

from kamu_assets.errors import InvalidError
from kamu_assets.flows.rules import Cron, Interval, TriggerRule
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

LONGEST_INTERVAL = 100 * 366 * 86_400
# Minute to weekday.
_CRON_FIELDS = 5


class InvalidTriggerError(InvalidError):
    """The rule names no times."""


def check_rule(rule: TriggerRule) -> None:
    """Raise `InvalidTriggerError` unless the rule has a next time."""
    match rule:
        case Interval(seconds) if seconds < 1:
            raise InvalidTriggerError(f"an interval has at least one second, not {seconds}")
        case Interval(seconds) if seconds > LONGEST_INTERVAL:
            raise InvalidTriggerError(f"an interval has at most {LONGEST_INTERVAL} seconds (100 years), not {seconds}")
        case Cron(expression) if not _is_cron(expression):
            raise InvalidTriggerError(f"{expression!r} is not a cron expression of five fields")


def _is_cron(expression: str) -> bool:
    # Loaded only where it is needed: most commands of the command line know no time.
    from croniter import croniter

    return len(expression.split()) == _CRON_FIELDS and croniter.is_valid(expression)


def _next_cron(expression: str, after: Timestamp) -> Timestamp:
    from croniter import CroniterBadDateError, croniter

    try:
        next_second = croniter(expression, after.ns // NANOS_PER_SECOND).get_next(float)
    except CroniterBadDateError as error:
        raise InvalidTriggerError(f"{expression!r} names no day that exists") from error
    return Timestamp(int(next_second) * NANOS_PER_SECOND)


def next_due(rule: TriggerRule, after: Timestamp) -> Timestamp:
    """The first time of the rule after a moment."""
    match rule:
        case Interval(seconds):
            return Timestamp(after.ns + seconds * NANOS_PER_SECOND)
        case Cron(expression):
            return _next_cron(expression, after)


def first_due(rule: TriggerRule, now: Timestamp, last_finished: Timestamp | None) -> Timestamp:
    """When a rule that is set now fires first: an interval counts from the last flow, and is due if there was none."""
    match rule:
        case Cron():
            return next_due(rule, now)
        case Interval():
            return now if last_finished is None else max(now, next_due(rule, last_finished))
