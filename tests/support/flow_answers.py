"""Our flows in the shape in which recordings show theirs, as far as flows themselves know it; and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.history.events import EventKind, FlowEvent
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind, StartCondition, WaitKind
from kamu_assets.flows.processes.listing import Process
from kamu_assets.odf.timestamp import Timestamp

Json = Any

_CAUSES = {
    CauseKind.MANUAL: "FlowActivationCauseManual",
    CauseKind.AUTO_POLLING: "FlowActivationCauseAutoPolling",
    CauseKind.INPUT_UPDATED: "FlowActivationCauseDatasetUpdate",
    CauseKind.ITERATION_FINISHED: "FlowActivationCauseIterationFinished",
}
_SOURCES = {
    UpdateSource.PUSH: "FlowActivationCauseDatasetUpdateSourceHttpIngest",
    UpdateSource.FOUND: "FlowActivationCauseDatasetUpdateSourceExternallyDetectedChange",
    UpdateSource.UPSTREAM_FLOW: "FlowActivationCauseDatasetUpdateSourceUpstreamFlow",
}
_EVENTS = {
    EventKind.INITIATED: "FlowEventInitiated",
    EventKind.CAUSE_ADDED: "FlowEventActivationCauseAdded",
    "CONFIG_MODIFIED": "FlowEventConfigSnapshotModified",
    EventKind.CONDITION_UPDATED: "FlowEventStartConditionUpdated",
    EventKind.SCHEDULED: "FlowEventScheduledForActivation",
    EventKind.ATTEMPT_QUEUED: "FlowEventTaskChanged",
    EventKind.ATTEMPT_RUNNING: "FlowEventTaskChanged",
    EventKind.ATTEMPT_FINISHED: "FlowEventTaskChanged",
    EventKind.COMPLETED: "FlowEventCompleted",
    EventKind.ABORTED: "FlowEventAborted",
}
_TASKS = {
    EventKind.ATTEMPT_QUEUED: "QUEUED",
    EventKind.ATTEMPT_RUNNING: "RUNNING",
    EventKind.ATTEMPT_FINISHED: "FINISHED",
}
# What differs on purpose.
OTHERWISE = {"awaitingExecutorSince": "theirs is when a flow was to be queued, ours when it was"}
# Of a clock that a recording moved, not of the server's own.
_PLAYED_YEAR = "2050-"


def flow_answer(flow: Flow, events: Sequence[FlowEvent]) -> Json:
    return {
        "status": flow.status.value,
        "outcome": _outcome(flow.outcome),
        "startCondition": _condition(flow.condition),
        "primaryActivationCause": _cause(flow.cause),
        "timing": {
            "initiatedAt": _time(flow.created_at),
            "firstAttemptScheduledAt": _time(flow.first_scheduled_at),
            "scheduledAt": _time(flow.scheduled_at),
            "awaitingExecutorSince": _time(flow.submitted_at),
            "runningSince": _time(flow.started_at),
            "lastAttemptFinishedAt": _time(flow.attempt_ended_at),
            "completedAt": _time(flow.finished_at),
        },
        "retryPolicy": flow.config.retry and {"maxAttempts": flow.config.retry.max_attempts},
        "configSnapshot": _config(flow),
        "history": [_event(event) for event in events],
    }


def process_answer(process: Process) -> Json:
    return {
        "effectiveState": process.state.value,
        "consecutiveFailures": process.consecutive_failures,
        "lastSuccessAt": _time(process.last_success_at),
        "lastAttemptAt": _time(process.last_attempt_at),
        "lastFailureAt": _time(process.last_failure_at),
        "nextPlannedAt": _time(process.next_planned_at),
        "runningSince": _time(process.running_since),
        "pausedAt": _time(process.paused_at),
        "autoStoppedReason": process.stop_reason and process.stop_reason.value,
        "autoStoppedAt": _time(process.stopped_at),
    }


def differences(theirs: Json, ours: Json, at: str) -> Iterator[str]:
    """Members that we do not have are those of the API, not of flows; times count where a recording moved the clock."""
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for name in (theirs.keys() & ours.keys()) - OTHERWISE.keys():
            yield from differences(theirs[name], ours[name], f"{at}.{name}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f"{at}: {_names(theirs)} there, {_names(ours)} here"
        for number, (their, our) in enumerate(zip(theirs, ours, strict=False)):
            yield from differences(their, our, f"{at}[{number}]")
    elif _is_time(theirs) and _is_time(ours):
        if _PLAYED_YEAR in theirs and Timestamp.parse(theirs) != Timestamp.parse(ours):
            yield f"{at}: {theirs} there, {ours} here"
    elif theirs != ours:
        yield f"{at}: {theirs!r} there, {ours!r} here"


def _outcome(outcome: FlowOutcome | None) -> Json:
    if outcome is None:
        return None
    if outcome.kind is OutcomeKind.ABORTED:
        return {"__typename": "FlowAbortedResult", "message": "ABORTED"}
    if outcome.kind is not OutcomeKind.FAILED:
        return {"__typename": "FlowSuccessResult", "message": "SUCCESS"}
    return {"__typename": "FlowFailedError", "reason": {"recoverable": outcome.recoverable}}


def _condition(condition: StartCondition | None) -> Json:
    if condition is None:
        return None
    name = f"FlowStartCondition{condition.kind.title()}"
    match condition.kind:
        case WaitKind.THROTTLING:
            told: Json = {"intervalSec": condition.interval_seconds, "shiftedFrom": _time(condition.shifted_from)}
            told["wakeUpAt"] = _time(condition.until)
        case WaitKind.REACTIVE:
            told = {"accumulatedRecordsCount": condition.records, "watermarkModified": condition.watermark_moved}
            told |= {"batchingDeadline": _time(condition.until), "forBreakingChange": condition.breaking}
            told["activeBatchingRule"] = {"minRecordsToAwait": condition.min_records}
        case _:
            told = {"wakeUpAt": _time(condition.until)}
    return {"__typename": name, **told}


def _cause(cause: FlowCause | None) -> Json:
    if cause is None:
        return None
    source = {"source": {"__typename": _SOURCES[cause.source]}} if cause.source in _SOURCES else {}
    return {"__typename": _CAUSES[cause.kind], **source}


def _event(event: FlowEvent) -> Json:
    told: Json = {"__typename": _EVENTS[event.kind]}
    if event.kind in (EventKind.INITIATED, EventKind.CAUSE_ADDED):
        told["activationCause"] = _cause(event.what.cause)
    elif event.kind is EventKind.CONDITION_UPDATED:
        told["startCondition"] = _condition(event.what.condition)
    elif event.kind is EventKind.SCHEDULED:
        told["scheduledForActivationAt"] = _time(event.what.scheduled_at)
    elif event.kind in _TASKS:
        told |= {"taskStatus": _TASKS[event.kind]}
        told["nextAttemptAt"] = _time(event.what.scheduled_at) if event.kind is EventKind.ATTEMPT_FINISHED else None
    return told


def _config(flow: Flow) -> Json:
    if flow.config.compaction is not None:
        arguments = flow.config.compaction
        told = {"maxSliceSize": arguments.max_slice_size, "maxSliceRecords": arguments.max_slice_records}
        return {"__typename": "FlowConfigRuleCompaction", **told}
    if flow.config.ingest is not None:
        uncacheable, next_one = flow.config.ingest.fetch_uncacheable, flow.config.ingest.fetch_next_iteration
        return {
            "__typename": "FlowConfigRuleIngest",
            "fetchUncacheable": uncacheable,
            "fetchNextIteration": next_one,
        }
    return None


def _time(moment: Timestamp | None) -> str | None:
    return None if moment is None else str(moment)


def _is_time(value: Json) -> bool:
    return isinstance(value, str) and value[:2] == "20" and "T" in value


def _names(members: Sequence[Json]) -> list[str]:
    return [str(each.get("__typename", each)) if isinstance(each, Mapping) else str(each) for each in members]
