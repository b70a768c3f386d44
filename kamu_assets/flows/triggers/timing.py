"""Which times a rule of time names. Pure."""

import re

from kamu_assets.flows.errors import FlowTypeNotSupportedError, InvalidStopPolicyError, InvalidTriggerError
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, TimedRule, TriggerRule
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

LONGEST_INTERVAL = 100 * 366 * 86_400
LONGEST_BATCHING = 86_400
MOST_FAILURES = 10
# Minute to weekday.
_CRON_FIELDS = 5
_LONGEST_CRON = 200
# Others that the library knows name other times in each process.
_CRON_FIELD = re.compile(r"[0-9A-Za-z*,/-]+", re.ASCII)
_MONTHS = frozenset({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"})
_CRON_NAMES = _MONTHS | {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
_TIMED = frozenset({FlowType.INGEST, FlowType.EXECUTE_TRANSFORM, FlowType.HARD_COMPACTION})


def check_rule(rule: TriggerRule) -> None:
    """Raise `InvalidTriggerError` unless the rule starts something."""
    match rule:
        case Reactive():
            _check_batching(rule)
        # An interval of nothing means as often as throttling allows.
        case Interval(seconds) if seconds < 0:
            raise InvalidTriggerError(f"an interval is not negative: {seconds} seconds")
        case Interval(seconds) if seconds > LONGEST_INTERVAL:
            raise InvalidTriggerError(f"an interval has at most {LONGEST_INTERVAL} seconds (100 years), not {seconds}")
        case Cron(expression) if not _is_cron(expression):
            shown = expression if len(expression) <= _LONGEST_CRON else f"{expression[:_LONGEST_CRON]}…"
            raise InvalidTriggerError(f"{shown!r} is not a cron expression of five fields")
        case Cron(expression):
            # Else it would be found out when the flow that runs now has ended, by whoever plans the next.
            _next_cron(expression, Timestamp(0))


def _check_batching(rule: Reactive) -> None:
    if rule.min_records < 0:
        raise InvalidTriggerError(f"a batch has at least one record, not {rule.min_records}")
    if rule.is_immediate:
        if rule.max_interval_seconds:
            raise InvalidTriggerError("how long to wait makes sense only with how many records to wait for")
    elif not 0 < rule.max_interval_seconds <= LONGEST_BATCHING:
        raise InvalidTriggerError(
            f"records are waited for 1 to {LONGEST_BATCHING} seconds (24 hours), not {rule.max_interval_seconds}"
        )


def check_stop_policy(stop_after: int | None) -> None:
    """Raise `InvalidStopPolicyError` unless a trigger may be stopped after so many failures."""
    if stop_after is not None and not 1 <= stop_after <= MOST_FAILURES:
        raise InvalidStopPolicyError(f"a trigger is stopped after 1 to {MOST_FAILURES} failures, not {stop_after}")


def check_type(rule: TriggerRule, type_: FlowType) -> None:
    """Raise `FlowTypeNotSupportedError` unless flows of this type may be started so."""
    if isinstance(rule, Reactive):
        if type_ is not FlowType.EXECUTE_TRANSFORM:
            raise FlowTypeNotSupportedError(
                f"flows of type {type_.words} have no inputs to react to: they take an interval or a cron expression"
            )
    elif type_ not in _TIMED:
        raise FlowTypeNotSupportedError(f"flows of type {type_.words} are not started by a rule of time")


def _is_cron(expression: str) -> bool:
    # Loaded only where it is needed: most commands of the command line know no time.
    from croniter import croniter

    fields = expression.split()
    if len(fields) != _CRON_FIELDS or len(expression) > _LONGEST_CRON or not all(map(_CRON_FIELD.fullmatch, fields)):
        return False
    names = re.findall(r"[a-z]+", expression.lower())
    return _CRON_NAMES.issuperset(names) and croniter.is_valid(expression)


def _next_cron(expression: str, after: Timestamp) -> Timestamp:
    from croniter import CroniterBadDateError, croniter

    try:
        next_second = croniter(expression, after.ns // NANOS_PER_SECOND).get_next(float)
    except CroniterBadDateError as error:
        raise InvalidTriggerError(f"{expression!r} names no day that exists") from error
    return Timestamp(int(next_second) * NANOS_PER_SECOND)


def next_due(rule: TimedRule, after: Timestamp) -> Timestamp:
    """The first time of the rule after a moment."""
    match rule:
        case Interval(seconds):
            return Timestamp(after.ns + seconds * NANOS_PER_SECOND)
        case Cron(expression):
            return _next_cron(expression, after)


def first_due(rule: TimedRule, now: Timestamp, last_finished: Timestamp | None) -> Timestamp:
    """When a rule that is set now fires first: an interval counts from the last flow, and is due if there was none."""
    match rule:
        case Cron():
            return next_due(rule, now)
        case Interval():
            return now if last_finished is None else max(now, next_due(rule, last_finished))
