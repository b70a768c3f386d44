"""Dagster's event log of runs, as lines for the users of flows."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from dagster import DagsterEvent, DagsterInstance, EventLogEntry, EventLogRecord
from dagster._core.event_api import EventLogCursor
from dagster._core.events import DagsterEventType, RunFailureReason

from kamu_assets.flows.logs.lines import Channel, RunLine
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.failures import is_interrupt, message_of, traceback_of
from kamu_assets.orchestration.home import INSTANCE_FILE
from kamu_assets.orchestration.instance import open_instance
from kamu_assets.orchestration.names import METADATA_ENGINE_OUTPUT

# What Dagster does around the work, step by step, and what the history of the flow tells already.
_QUIET = frozenset(
    {
        DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
        DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        DagsterEventType.HANDLED_OUTPUT,
        DagsterEventType.LOADED_INPUT,
        DagsterEventType.LOGS_CAPTURED,
        DagsterEventType.PIPELINE_DEQUEUED,
        DagsterEventType.PIPELINE_ENQUEUED,
        DagsterEventType.PIPELINE_STARTING,
        DagsterEventType.RESOURCE_INIT_STARTED,
        DagsterEventType.RESOURCE_INIT_SUCCESS,
        DagsterEventType.RUN_START,
        DagsterEventType.RUN_SUCCESS,
        DagsterEventType.STEP_INPUT,
        DagsterEventType.STEP_OUTPUT,
        DagsterEventType.STEP_START,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.STEP_WORKER_STARTED,
        DagsterEventType.STEP_WORKER_STARTING,
    }
)
# Dagster's own remark on every run: no check is made while a dataset is updated.
_CHECK_LEFT_OUT = "did not yield or return expected outputs"
# What it tells of executing steps in a process, before and after, has the process with it.
_PROCESS = "pid"
_FAILURES = (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE)
_FIGURES = ("records_added", "late_rows")


class DagsterRunLogs:
    """Reads the event log of runs (the `RunLogs` of the flows); opens the instance when it is first asked."""

    def __init__(self, config: AdapterConfig) -> None:
        self._config = config
        self._opened = ExitStack()
        self._instance: DagsterInstance | None = None
        self._opening = threading.Lock()

    def lines(self, run_id: str, *, after: int, limit: int) -> Sequence[RunLine]:
        """Those that follow a number, in order; none of a run that is unknown, or known no more."""
        instance = self._found()
        # Asking for the events of a run that is gone would make a file for it.
        if instance is None or not instance.has_run(run_id):
            return []
        return lines_of(_reader(instance, run_id), after=after, limit=limit)

    def close(self) -> None:
        self._opened.close()
        self._instance = None

    def _found(self) -> DagsterInstance | None:
        """None before the node has run for the first time."""
        with self._opening:
            if self._instance is None and (self._config.dagster_home / INSTANCE_FILE).is_file():
                self._instance = self._opened.enter_context(open_instance(self._config))
            return self._instance


# Gives so many records behind a number.
Reader = Callable[[int, int], Sequence[EventLogRecord]]


def lines_of(read: Reader, *, after: int, limit: int) -> Sequence[RunLine]:
    """As many lines as are wanted, however many records tell nothing; fewer only at the end."""
    found: list[RunLine] = []
    while len(found) < limit:
        records = read(after, limit)
        found.extend(line for record in records if (line := line_of(record)) is not None)
        if len(records) < limit:
            break
        after = records[-1].storage_id
    return found[:limit]


def _reader(instance: DagsterInstance, run_id: str) -> Reader:
    def read(after: int, limit: int) -> Sequence[EventLogRecord]:
        cursor = EventLogCursor.from_storage_id(after).to_string()
        return instance.get_records_for_run(run_id, cursor=cursor, limit=limit).records

    return read


def line_of(record: EventLogRecord) -> RunLine | None:
    """What a record tells users, if it does."""
    entry = record.event_log_entry
    event = entry.dagster_event
    if _is_quiet(entry):
        return None
    at = Timestamp(round(entry.timestamp * NANOS_PER_SECOND))
    text = _event_text(event) if event is not None else entry.user_message
    if entry.error_info is not None:
        text = f"{text}\n{entry.error_info.to_string()}"
    if event is not None and event.event_type is DagsterEventType.STEP_FAILURE and is_interrupt(event):
        # Where it was at that moment tells nobody anything.
        return RunLine(record.storage_id, at, "info", "stopped", Channel.RUN)
    level = entry.level if isinstance(entry.level, str) else logging.getLevelName(entry.level)
    channel = Channel.ENGINE if event is not None and _is_output(event) else Channel.RUN
    return RunLine(record.storage_id, at, level.lower(), text.rstrip(), channel)


def _is_quiet(entry: EventLogEntry) -> bool:
    event = entry.dagster_event
    if event is None:
        return _CHECK_LEFT_OUT in entry.user_message
    return event.event_type in _QUIET or (_is_engines(event) and _PROCESS in event.engine_event_data.metadata)


def _event_text(event: DagsterEvent) -> str:
    return "\n".join(_event_parts(event))


def _event_parts(event: DagsterEvent) -> Iterator[str]:
    if event.event_type in _FAILURES and not _is_told_by_step(event):
        yield message_of(event)
        if trace := traceback_of(event):
            yield trace
        return
    yield event.message or event.event_type_value
    if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
        told = event.step_materialization_data.materialization.metadata
        yield from (f"{name}: {told[name].value}" for name in _FIGURES if name in told)
    if event.event_type is DagsterEventType.ENGINE_EVENT and (error := event.engine_event_data.error) is not None:
        yield error.to_string()


def _is_told_by_step(event: DagsterEvent) -> bool:
    """Whether it only repeats how a step failed."""
    if event.event_type is not DagsterEventType.RUN_FAILURE or event.event_specific_data is None:
        return False
    return event.job_failure_data.failure_reason is RunFailureReason.STEP_FAILURE


def _is_output(event: DagsterEvent) -> bool:
    return _is_engines(event) and METADATA_ENGINE_OUTPUT in event.engine_event_data.metadata


def _is_engines(event: DagsterEvent) -> bool:
    return event.event_type is DagsterEventType.ENGINE_EVENT
