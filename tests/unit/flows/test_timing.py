import pytest

from kamu_assets.flows.errors import InvalidTriggerError
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, TimedRule, TriggerRule
from kamu_assets.flows.triggers.timing import check_rule, first_due, next_due
from kamu_assets.odf.timestamp import Timestamp

NOON = Timestamp.parse("2024-02-29T12:00:00Z")


def at(text: str) -> Timestamp:
    return Timestamp.parse(text)


@pytest.mark.parametrize(
    ("rule", "after", "due"),
    [
        (Interval(90), "2024-02-29T12:00:00.5Z", "2024-02-29T12:01:30.5Z"),
        (Cron("0 0 * * *"), "2024-02-29T12:00:00Z", "2024-03-01T00:00:00Z"),
        (Cron("0 12 * * *"), "2024-02-29T12:00:00Z", "2024-03-01T12:00:00Z"),
        (Cron("*/15 * * * *"), "2024-02-29T12:14:59.999Z", "2024-02-29T12:15:00Z"),
        (Cron("0 9 * * MON"), "2024-02-29T12:00:00Z", "2024-03-04T09:00:00Z"),
    ],
)
def test_a_rule_names_the_first_time_after_a_moment(rule: TimedRule, after: str, due: str) -> None:
    assert next_due(rule, at(after)) == at(due)


@pytest.mark.parametrize(
    "rule",
    [
        Interval(-5),
        Interval(10**10),
        Cron("61 * * * *"),
        Cron("* * * * * *"),
        Cron("daily"),
        # What others take for a moment of their own choice.
        Cron("R * * * *"),
        Cron("H * * * *"),
        Cron("0 0 L * *"),
        Cron("0 0 31 2 *"),
        Cron(f"{'1,' * 20_000}1 * * * *"),
        Reactive(-1, 5),
        Reactive(5),
        Reactive(5, 86_401),
        Reactive(0, 5),
    ],
)
def test_a_rule_without_times_is_refused(rule: TriggerRule) -> None:
    with pytest.raises(InvalidTriggerError):
        check_rule(rule)


def test_a_day_that_never_comes_is_told() -> None:
    with pytest.raises(InvalidTriggerError, match="'0 0 31 2 \\*' names no day that exists"):
        first_due(Cron("0 0 31 2 *"), NOON, None)


def test_an_interval_counts_from_the_last_flow() -> None:
    hour = Interval(3600)

    assert first_due(hour, NOON, None) == NOON
    assert first_due(hour, NOON, Timestamp(NOON.ns - 600 * 10**9)) == Timestamp(NOON.ns + 3000 * 10**9)
    assert first_due(hour, NOON, Timestamp(NOON.ns - 7200 * 10**9)) == NOON
