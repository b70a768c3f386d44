"""Why a run failed, in one line, and at length where nobody expected it."""

import sys

from dagster import DagsterInstance
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster_shared.error import SerializableErrorInfo

from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.errors import KamuError

_LONGEST = 2000


def failure_message(instance: DagsterInstance, run_id: str) -> str | None:
    """The first step's failure, else the run's own."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.dagster_event
            if event is not None:
                return message_of(event)
    return None


def message_of(event: DagsterEvent) -> str:
    """The innermost error's words: a user cares for our message, not for Dagster's wrapping."""
    error = _innermost(event)
    text = _words(error) if error is not None else event.message or "the run failed"
    return text[:_LONGEST]


def traceback_of(event: DagsterEvent) -> str | None:
    """Where a bug is; None for expected failures, whose message says all."""
    error = _innermost(event)
    if error is None or _is_a(KamuError, error):
        return None
    return "".join(error.stack) + error.message.strip()


def _innermost(event: DagsterEvent) -> SerializableErrorInfo | None:
    error = _error(event)
    while error is not None and error.cause is not None:
        error = error.cause
    return error


def is_outage(event: DagsterEvent) -> bool:
    """Whether the node's database was away: the same work may succeed when it is back."""
    error = _innermost(event)
    return error is not None and _is_a(DatabaseUnavailableError, error)


def _is_a(family: type[Exception], error: SerializableErrorInfo) -> bool:
    module, _, name = error.message.strip().partition(":")[0].rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(kind, family)


def _words(error: SerializableErrorInfo) -> str:
    """What the error says, without the Python name before it."""
    text = error.message.strip()
    name, colon, words = text.partition(": ")
    return words if colon and name.rpartition(".")[2] == error.cls_name else text


def _error(event: DagsterEvent) -> SerializableErrorInfo | None:
    if event.event_type is DagsterEventType.STEP_FAILURE:
        return event.step_failure_data.error
    if event.event_type is DagsterEventType.RUN_FAILURE and event.event_specific_data is not None:
        return event.job_failure_data.error
    return None
