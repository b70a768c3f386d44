"""Triggers in words."""

from kamu_assets.flows.triggers.rules import BreakingChange, Cron, Interval, Reactive, Trigger, TriggerRule

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def interval_text(seconds: int) -> str:
    """Weeks to seconds, as `1d12h`."""
    parts = []
    for unit, length in sorted(SECONDS.items(), key=lambda item: -item[1]):
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
    return "".join(parts) or "0s"


def rule_text(rule: TriggerRule) -> str:
    """When it acts."""
    match rule:
        case Interval(seconds):
            return f"every {interval_text(seconds)}"
        case Cron(expression):
            return f"cron {expression}"
        case Reactive():
            return _reaction_text(rule)


def trigger_text(trigger: Trigger) -> str:
    """When it acts, and why it does not if that is so."""
    rule = rule_text(trigger.rule)
    if trigger.stop_reason is not None:
        return f"{rule}; stopped: {trigger.stop_reason.lower().replace('_', ' ')}"
    return f"{rule}; paused" if trigger.paused else rule


def _reaction_text(rule: Reactive) -> str:
    text = "when inputs change"
    if not rule.is_immediate:
        text = f"at {rule.min_records} new records, or after {interval_text(rule.max_interval_seconds)}"
    if rule.breaking_change is BreakingChange.RECOVER:
        return f"{text}; anew when an input is rewritten"
    return text
