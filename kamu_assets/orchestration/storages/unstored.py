"""Events that are not worth their place: a run that tells a receiver has few others, and there is one for each push."""

from typing import Final

from dagster import DagsterEventType, EventLogEntry

from kamu_assets.orchestration.names import JOB_DELIVER

# What Dagster does around every step; such a run prepares nothing, prints nothing and hands nothing on.
_AROUND: Final = frozenset(
    {
        DagsterEventType.RESOURCE_INIT_STARTED,
        DagsterEventType.RESOURCE_INIT_SUCCESS,
        DagsterEventType.LOGS_CAPTURED,
        DagsterEventType.STEP_OUTPUT,
    }
)


def is_stored(event: EventLogEntry) -> bool:
    """Whether somebody may want to read it."""
    return event.job_name != JOB_DELIVER or event.dagster_event_type not in _AROUND
