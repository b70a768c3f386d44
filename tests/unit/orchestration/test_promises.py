"""What triggers promise, and how fresh datasets are then."""

import pytest
from dagster._core.definitions.freshness import FreshnessState

from kamu_assets.flows.model import FlowType
from kamu_assets.flows.triggers.rules import Cron, Interval, Reactive, Trigger, TriggerRule
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.catalog.promises import FreshWithin, freshness, promised, turns_in
from tests.support.builders import START, a_dataset_id

HOUR = 3600
DAY = 24 * HOUR


def a_trigger(rule: TriggerRule, **more: Timestamp) -> Trigger:
    return Trigger(a_dataset_id("promised"), FlowType.INGEST, rule, **more)  # type: ignore[arg-type] # times only


@pytest.mark.parametrize(
    ("rule", "wait"),
    [
        (Interval(HOUR), HOUR),
        # Dagster knows no windows below a minute.
        (Interval(1), 60),
        (Cron("*/5 * * * *"), 300),
        (Cron("0 9 * * 1-5"), 3 * DAY),
        (Cron("*/10 9-17 * * 1-5"), 3 * DAY - 8 * HOUR - 50 * 60),
        (Cron("0 0 1 * *"), 31 * DAY),
    ],
)
def test_a_rule_of_time_promises_its_longest_wait(rule: TriggerRule, wait: int) -> None:
    assert promised(a_trigger(rule)) == FreshWithin(warn_seconds=wait * 3 // 2, fail_seconds=wait * 2)


def test_nothing_is_promised_without_a_rule_that_names_times() -> None:
    assert promised(None) is None
    assert promised(a_trigger(Reactive())) is None
    assert promised(a_trigger(Interval(HOUR), paused_at=START)) is None
    assert promised(a_trigger(Interval(HOUR), stopped_at=START)) is None


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, FreshnessState.PASS), (89, FreshnessState.PASS), (90, FreshnessState.WARN), (120, FreshnessState.FAIL)],
)
def test_age_makes_a_dataset_late_and_then_too_late(age: int, state: FreshnessState) -> None:
    within = FreshWithin(warn_seconds=90, fail_seconds=120)

    assert freshness(within, START, Timestamp(START.ns + age * NANOS_PER_SECOND)) is state
    assert freshness(within, None, START) is FreshnessState.UNKNOWN


def test_it_is_known_when_a_dataset_turns_late_by_itself() -> None:
    within = FreshWithin(warn_seconds=90, fail_seconds=120)
    ages = (0, 89, 90, 119, 120, 500)

    found = [turns_in(within, START, Timestamp(START.ns + age * NANOS_PER_SECOND)) for age in ages]

    assert found == [90, 1, 30, 1, None, None]
    assert turns_in(within, None, START) is None
