"""Checks that Dagster's UI plans in runs which materialize: those do not execute them."""

from dagster import DagsterEventType, DagsterInstance, EventLogEntry


def is_never_run(instance: DagsterInstance, event: EventLogEntry) -> bool:
    """Whether the event announces such a check, which would be shown as in progress for ever."""
    if event.dagster_event_type is not DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return False
    run = instance.get_run_by_id(event.run_id)
    return bool(run and run.asset_selection)
