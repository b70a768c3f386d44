"""Flows in words, and as facts for scripts."""

from typing import TYPE_CHECKING, Any

from kamu_api.cli.flows.names import TypeName
from kamu_api.cli.flows.result_text import result_facts, result_text
from kamu_api.cli.output import short_text, time_text

if TYPE_CHECKING:
    from kamu_assets.flows.causes import FlowCause
    from kamu_assets.flows.history.events import FlowEvent
    from kamu_assets.flows.model import Attempt, Flow, FlowOutcome, StartCondition
    from kamu_assets.flows.retrying import FlowConfig

_WENT_WELL = ("SUCCESS", "UP_TO_DATE")
_CAUSES = {"AUTO_POLLING": "schedule"}
REWRITTEN = "an input was reset or compacted; `kamu-node flow show` says what to do"
_WAITS = {"SCHEDULE": "its schedule", "THROTTLING": "throttling", "EXECUTOR": "an executor", "REACTIVE": "more records"}


def flow_facts(flow: "Flow", *, dataset: str, webhook: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a list tells of a flow."""
    return {
        "flowId": flow.id,
        "dataset": dataset,
        "webhook": webhook,
        "type": flow.type.value,
        "status": flow.status.value,
        "outcome": outcome_facts(flow.outcome),
        "result": result_facts(flow.result),
        "causes": [cause_facts(cause) for cause in (*flow.causes, *flow.late_causes)],
        "startCondition": condition_facts(flow.condition),
        "arguments": arguments_facts(flow.config),
        "waitsFor": flow.waits_for,
        "attempt": flow.attempt,
        "runId": flow.run_id,
        "timing": {
            "initiatedAt": str(flow.created_at),
            "firstAttemptScheduledAt": _text(flow.first_scheduled_at),
            "scheduledAt": _text(flow.scheduled_at),
            "awaitingExecutorSince": _text(flow.submitted_at),
            "runningSince": _text(flow.started_at),
            "lastAttemptFinishedAt": _text(flow.attempt_ended_at),
            "completedAt": _text(flow.finished_at),
        },
    }


def arguments_facts(config: "FlowConfig") -> dict[str, Any] | None:
    """What it was told beside what it is done to."""
    facts: dict[str, Any] = {}
    if config.ingest is not None:
        facts["fetchUncacheable"] = config.ingest.fetch_uncacheable
        facts["fetchNextIteration"] = config.ingest.fetch_next_iteration
    if config.compaction is not None:
        facts["maxSliceSize"] = config.compaction.max_slice_size
        facts["maxSliceRecords"] = config.compaction.max_slice_records
    if config.reset is not None:
        facts["newHead"] = _text(config.reset.new_head)
        facts["oldHead"] = _text(config.reset.old_head)
    return facts or None


def cause_facts(cause: "FlowCause") -> dict[str, Any]:
    """One reason, without what it does not have."""
    facts = {
        "kind": cause.kind.value,
        "account": _text(cause.account),
        "input": _text(cause.input),
        "source": cause.source.value if cause.source else None,
        "upstreamFlowId": cause.flow,
        "pushSource": cause.push_source,
        "records": cause.records or None,
        "breakingChange": cause.breaking or None,
        "at": _text(cause.at),
    }
    return {name: value for name, value in facts.items() if value is not None}


def condition_facts(condition: "StartCondition | None") -> dict[str, Any] | None:
    if condition is None:
        return None
    facts = {
        "kind": condition.kind.value,
        "wakeUpAt": _text(condition.until),
        "shiftedFrom": _text(condition.shifted_from),
        "runId": condition.run_id,
        "intervalSeconds": condition.interval_seconds,
        "accumulatedRecords": condition.records or None,
        "minRecords": condition.min_records or None,
        "watermarkMoved": condition.watermark_moved or None,
        "breakingChange": condition.breaking or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def outcome_facts(outcome: "FlowOutcome | None") -> dict[str, Any] | None:
    """With a failure, whether the same work may succeed another time."""
    if outcome is None:
        return None
    facts: dict[str, Any] = {"kind": outcome.kind.value, "message": outcome.message}
    if outcome.rewritten_input is not None:
        facts["rewrittenInput"] = str(outcome.rewritten_input)
    return facts | ({"recoverable": outcome.recoverable} if outcome.kind == "FAILED" else {})


def attempt_facts(attempt: "Attempt") -> dict[str, Any]:
    return {
        "number": attempt.number,
        "runId": attempt.run_id,
        "queuedAt": str(attempt.queued_at),
        "startedAt": _text(attempt.started_at),
        "finishedAt": _text(attempt.finished_at),
        "outcome": outcome_facts(attempt.outcome),
        "result": result_facts(attempt.result),
    }


def event_facts(event: "FlowEvent") -> dict[str, Any]:
    """One thing that happened, without what it does not have."""
    what = event.what
    facts = {
        "eventId": event.id,
        "at": str(event.at),
        "kind": event.kind.value,
        "cause": cause_facts(what.cause) if what.cause else None,
        "startCondition": condition_facts(what.condition),
        "scheduledAt": _text(what.scheduled_at),
        "attempt": what.attempt,
        "runId": what.run_id,
        "outcome": outcome_facts(what.outcome),
        "arguments": arguments_facts(what.config) if what.config else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def flow_row(facts: dict[str, Any]) -> dict[str, Any]:
    """For a table."""
    timing = facts["timing"]
    return {
        "flow": facts["flowId"],
        "dataset": about(facts),
        "type": TypeName[facts["type"]].value,
        "status": _words(facts["status"]),
        "cause": _cause(facts["causes"][0]),
        "since (UTC)": time_text(timing["completedAt"] or timing["runningSince"] or timing["initiatedAt"]),
        "outcome": short_text(_told(facts)),
    }


def way_out(facts: dict[str, Any]) -> str | None:
    """What helps where the same work would fail for ever: an input is not any more what the rows were computed from."""
    if not facts["outcome"] or "rewrittenInput" not in facts["outcome"]:
        return None
    name = facts["dataset"]
    return (
        f"an input was reset or compacted: `kamu-node flow run {name} --type reset-to-metadata` drops the rows, to be "
        f"computed anew (by a trigger that was stopped after `kamu-node trigger resume {name}`); "
        f"`kamu-node trigger set {name} --reactive --recover` has that done by itself from now on"
    )


def about(facts: dict[str, Any]) -> str:
    """What a flow is done to, or who is told of it."""
    webhook = facts["webhook"]
    if webhook is None:
        return str(facts["dataset"])
    told = webhook.get("label") or webhook.get("targetUrl") or webhook["id"]
    return f"{facts['dataset'] or 'all datasets'} -> {told}"


def _told(facts: dict[str, Any]) -> str:
    """How it ended; before that, what it waits for."""
    if facts["outcome"]:
        told = _outcome(facts["outcome"])
        achieved = facts["result"] if facts["outcome"]["kind"] in _WENT_WELL else None
        return f"{told}: {result_text(achieved)}" if achieved and _tells_more(achieved) else told
    if facts["status"] == "RETRYING" and facts["startCondition"] is None:
        again = f"attempt {facts['attempt'] + 1} at {time_text(facts['timing']['scheduledAt'])}"
        # Why the last one failed or, once the time has come, what keeps the next from beginning.
        why = str(facts["waitsFor"])
        return f"{again}: the last {why}" if why.startswith("failed") else f"{again}: {why}"
    if facts["waitsFor"]:
        return str(facts["waitsFor"])
    return _waiting(facts["startCondition"]) if facts["startCondition"] else ""


def _tells_more(result: dict[str, Any]) -> bool:
    """More than that it went well."""
    return result["kind"] not in {"UP_TO_DATE", "NOTHING_TO_DO"} or bool(result.get("uncacheable"))


def _cause(cause: dict[str, Any]) -> str:
    return _CAUSES.get(cause["kind"], _words(cause["kind"]))


def _waiting(condition: dict[str, Any]) -> str:
    if condition["kind"] == "REACTIVE" and _has_enough(condition):
        return "waits for its turn"
    until = condition.get("wakeUpAt")
    return f"waits for {_WAITS[condition['kind']]}" + (f" until {time_text(until)}" if until else "")


def _has_enough(condition: dict[str, Any]) -> bool:
    enough: bool = condition.get("accumulatedRecords", 0) >= condition.get("minRecords", 0)
    return enough or "breakingChange" in condition


def _outcome(outcome: dict[str, Any]) -> str:
    message = REWRITTEN if "rewrittenInput" in outcome else outcome["message"]
    return _words(outcome["kind"]) + (f": {message}" if message else "")


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _text(value: object) -> str | None:
    return None if value is None else str(value)
