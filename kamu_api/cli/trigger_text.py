"""Triggers and runs in words, and the words read again."""

import re
from typing import TYPE_CHECKING, Any, Final

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.output import short_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kamu_assets.flows.model import Flow
    from kamu_assets.flows.rules import PlannedTrigger

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def parse_interval(text: str) -> int:
    """Seconds in `1h`, `1d12h`, `90s`."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise MisuseError(f"{text!r} is not an interval: write 30s, 5m, 1h, 1d12h")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def interval_text(seconds: int) -> str:
    """The shortest text that `parse_interval` reads as this."""
    parts = []
    for unit, length in sorted(_SECONDS.items(), key=lambda item: -item[1]):
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
    return "".join(parts) or "0s"


def trigger_facts(planned: "PlannedTrigger") -> dict[str, Any]:
    """When it starts runs; `nextDue` is null while one is at work."""
    from kamu_assets.flows.rules import Interval

    rule, paused = planned.trigger.rule, planned.trigger.paused
    text = f"every {interval_text(rule.seconds)}" if isinstance(rule, Interval) else f"cron {rule.expression}"
    due = None if paused or planned.next_due is None else str(planned.next_due)
    return {"rule": text, "paused": paused, "nextDue": due}


def run_facts(flow: "Flow | None") -> dict[str, Any] | None:
    """How a run ended; None where none has."""
    if flow is None or flow.outcome is None:
        return None
    message = flow.outcome.message
    return {"outcome": flow.outcome.kind.value, "finishedAt": str(flow.finished_at), "message": message}


def live_facts(flows: "Iterable[Flow]") -> dict[str, Any] | None:
    """The flow that runs, or else the one that waits; None where there is neither, or one that its rule planned."""
    from kamu_assets.flows.model import WaitKind

    live = [flow for flow in flows if flow.outcome is None]
    live = [flow for flow in live if flow.condition is None or flow.condition.kind is not WaitKind.SCHEDULE]
    if not live:
        return None
    flow = min(live, key=lambda flow: flow.state.value)
    since = str(flow.started_at or flow.created_at)
    return {"state": flow.state.value, "since": since, "cause": flow.cause.kind.value, "waitsFor": flow.waits_for}


def live_text(facts: dict[str, Any]) -> str:
    """Since when, and what keeps it from beginning where that is known."""
    text = f"{facts['state'].lower()} since {time_text(facts['since'])} UTC"
    return f"{text}; it {facts['waitsFor']}" if facts["waitsFor"] else text


def trigger_text(facts: dict[str, Any]) -> str:
    """The rule, and when it acts next."""
    if facts["paused"]:
        return f"{facts['rule']}, paused"
    due = f"next {time_text(facts['nextDue'])} UTC" if facts["nextDue"] else "runs now"
    return f"{facts['rule']}, {due}"


def outcome_text(facts: dict[str, Any]) -> str:
    """How it ended, and why where there is something to tell."""
    outcome: str = facts["outcome"].lower().replace("_", " ")
    return f"{outcome}: {short_text(facts['message'])}" if facts["message"] else outcome
