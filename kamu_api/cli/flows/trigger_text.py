"""Triggers and runs in words, and the words read again."""

import re
from typing import TYPE_CHECKING, Any, Final

from kamu_api.cli.flows.result_text import result_facts, result_text
from kamu_api.cli.flows.text import REWRITTEN
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.output import short_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kamu_assets.flows.model import Flow
    from kamu_assets.flows.triggers.rules import PlannedTrigger

# States of flows, in the order of what is worth telling.
_LIVE: Final = ("RUNNING", "RETRYING", "WAITING")
_PART: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def parse_interval(text: str) -> int:
    """Seconds in `1h`, `1d12h`, `90s`."""
    from kamu_assets.flows.triggers.text import SECONDS

    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise MisuseError(f"{text!r} is not an interval: write 30s, 5m, 1h, 1d12h")
    return sum(int(number) * SECONDS[unit] for number, unit in parts)


def trigger_facts(planned: "PlannedTrigger") -> dict[str, Any]:
    """When it starts runs; `nextDue` is null while one is at work, and where nothing has changed."""
    from kamu_assets.flows.triggers.text import rule_text

    trigger = planned.trigger
    due = None if trigger.paused or planned.next_due is None else str(planned.next_due)
    facts: dict[str, Any] = {"rule": rule_text(trigger.rule), "paused": trigger.paused, "nextDue": due}
    if trigger.type == "HARD_COMPACTION":
        facts["type"] = trigger.type.value
    if trigger.stop_after is not None:
        facts["stopAfterFailures"] = trigger.stop_after
    if trigger.stop_reason is not None:
        facts |= {"stopped": trigger.stop_reason.value, "stoppedAt": str(trigger.stopped_at)}
    return facts


def due_text(facts: dict[str, Any]) -> str:
    """When it acts next, for a table."""
    if "stopped" in facts:
        return f"stopped: {facts['stopped'].lower().replace('_', ' ')}"
    if facts["paused"]:
        return "paused"
    return time_text(facts["nextDue"]) or "-"


def run_facts(flow: "Flow | None") -> dict[str, Any] | None:
    """How a run ended; None where none has."""
    if flow is None or flow.outcome is None:
        return None
    facts = {"outcome": flow.outcome.kind.value, "finishedAt": str(flow.finished_at), "message": flow.outcome.message}
    rewritten = {"rewrittenInput": str(flow.outcome.rewritten_input)} if flow.outcome.rewritten_input else {}
    return {**facts, **rewritten, "result": result_facts(flow.result)}


def live_facts(flows: "Iterable[Flow]") -> dict[str, Any] | None:
    """The flow that runs, or else the one that waits; None where there is neither, or one that its rule planned."""
    from kamu_assets.flows.model import WaitKind

    live = [flow for flow in flows if flow.outcome is None]
    live = [flow for flow in live if flow.condition is None or flow.condition.kind is not WaitKind.SCHEDULE]
    if not live:
        return None
    flow = min(live, key=lambda flow: _LIVE.index(flow.status))
    since = str(flow.started_at or flow.created_at)
    return {"state": flow.status.value, "since": since, "cause": flow.cause.kind.value, "waitsFor": flow.waits_for}


def live_text(facts: dict[str, Any]) -> str:
    """Since when, and what keeps it from beginning where that is known."""
    text = f"{facts['state'].lower()} since {time_text(facts['since'])} UTC"
    return f"{text}; it {facts['waitsFor']}" if facts["waitsFor"] else text


def trigger_text(facts: dict[str, Any]) -> str:
    """The rule, and when it acts next."""
    rule = does_text(facts)
    if facts["paused"]:
        return f"{rule}, {due_text(facts)}"
    return f"{rule}, next {time_text(facts['nextDue'])} UTC" if facts["nextDue"] else rule


def does_text(facts: dict[str, Any]) -> str:
    """The rule, and what is done by it unless that is bringing a dataset up to date."""
    rule: str = facts["rule"]
    return f"compacted {rule}" if "type" in facts else rule


def outcome_text(facts: dict[str, Any]) -> str:
    """How it ended, and why where there is something to tell."""
    outcome: str = facts["outcome"].lower().replace("_", " ")
    achieved = facts.get("result")
    if "rewrittenInput" in facts:
        return f"{outcome}: {REWRITTEN}"
    told = facts["message"] or (achieved and achieved.get("uncacheable") and result_text(achieved))
    return f"{outcome}: {short_text(told)}" if told else outcome
