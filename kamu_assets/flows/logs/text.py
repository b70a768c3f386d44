"""What happened to a flow, in words."""

from collections.abc import Iterator

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.history.events import EventKind, FlowEvent
from kamu_assets.flows.model import FlowOutcome, OutcomeKind, StartCondition, WaitKind
from kamu_assets.odf.timestamp import Timestamp

# Instead of the hashes of blocks that are there no more.
REWRITTEN = "an input was reset or compacted"

_WAITS = {
    WaitKind.SCHEDULE: "its schedule",
    WaitKind.THROTTLING: "throttling",
    WaitKind.REACTIVE: "more records",
    WaitKind.EXECUTOR: "an executor",
}
_CAUSES = {CauseKind.AUTO_POLLING: "schedule"}
_SAID = {
    EventKind.INITIATED: "created",
    EventKind.CAUSE_ADDED: "another cause",
    EventKind.ATTEMPT_QUEUED: "queued",
    EventKind.ATTEMPT_RUNNING: "running",
    EventKind.ATTEMPT_FINISHED: "finished",
}


def event_text(event: FlowEvent) -> str:
    """One line, without its time."""
    return ", ".join(_parts(event))


def event_level(event: FlowEvent) -> str:
    """As bad as its outcome."""
    return "error" if event.what.outcome and event.what.outcome.kind is OutcomeKind.FAILED else "info"


def _parts(event: FlowEvent) -> Iterator[str]:
    what = event.what
    said = _SAID.get(event.kind) or _words(event.kind.value)
    if what.condition is not None:
        yield _waiting(what.condition)
    else:
        yield f"attempt {what.attempt} {said}" if what.attempt is not None else said
    if what.cause is not None:
        yield _cause(what.cause)
    if what.scheduled_at is not None:
        again = "again at" if event.kind is EventKind.ATTEMPT_FINISHED else "for"
        yield f"{again} {_time(what.scheduled_at)}"
    if what.outcome is not None and event.kind is not EventKind.ABORTED:
        yield _outcome(what.outcome)
    elif what.outcome is not None and what.outcome.message:
        yield what.outcome.message


def _cause(cause: FlowCause) -> str:
    records = f" ({cause.records} records)" if cause.records else ""
    return f"cause: {_CAUSES.get(cause.kind) or _words(cause.kind.value)}{records}"


def _waiting(condition: StartCondition) -> str:
    if condition.kind is WaitKind.REACTIVE and (condition.breaking or condition.records >= condition.min_records):
        return "waits for its turn"
    records = f", {condition.records} so far" if condition.records else ""
    until = f" until {_time(condition.until)}" if condition.until is not None else ""
    return f"waits for {_WAITS[condition.kind]}{records}{until}"


def _outcome(outcome: FlowOutcome) -> str:
    message = REWRITTEN if outcome.rewritten_input is not None else outcome.message
    return _words(outcome.kind.value) + (f": {message}" if message else "")


def _time(moment: Timestamp) -> str:
    return f"{str(moment).partition('.')[0].removesuffix('Z').replace('T', ' ')} UTC"


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
