"""Triggers in words."""

import pytest

from kamu_assets.flows.model import FlowType
from kamu_assets.flows.triggers.rules import BreakingChange, Cron, Interval, Reactive, StopReason, Trigger, TriggerRule
from kamu_assets.flows.triggers.text import rule_text, trigger_text
from tests.support.builders import START, a_dataset_id


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Interval(10), "every 10s"),
        (Interval(129_600), "every 1d12h"),
        (Cron("0 3 * * *"), "cron 0 3 * * *"),
        (Reactive(), "when inputs change"),
        (Reactive(5, 60), "at 5 new records, or after 1m"),
        (
            Reactive(breaking_change=BreakingChange.RECOVER),
            "when inputs change; anew when an input is rewritten",
        ),
    ],
)
def test_a_rule_says_when_it_acts(rule: TriggerRule, text: str) -> None:
    assert rule_text(rule) == text


def test_a_trigger_says_why_it_does_not_act() -> None:
    about = (a_dataset_id("told"), FlowType.INGEST, Interval(10))
    stopped = Trigger(*about, stopped_at=START, stop_reason=StopReason.UNRECOVERABLE_FAILURE)

    assert trigger_text(Trigger(*about)) == "every 10s"
    assert trigger_text(Trigger(*about, paused_at=START)) == "every 10s; paused"
    assert trigger_text(stopped) == "every 10s; stopped: unrecoverable failure"
