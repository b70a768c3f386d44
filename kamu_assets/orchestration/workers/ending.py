"""The end of a run that somebody wants stopped, and that nobody executes."""

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun

_ENDS = {DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE}


def end_canceled(instance: DagsterInstance, run: DagsterRun) -> None:
    """Tell that it was canceled, unless it had ended before: who cancels looks before the end and says so after it."""
    known = [entry.dagster_event_type for entry in instance.all_logs(run.run_id, of_type=_ENDS)]
    if not known or known[-1] is None:
        instance.report_run_canceled(run)
        return
    told = DagsterEvent(known[-1].value, run.job_name, message="It had ended before it could be canceled.")
    instance.report_dagster_event(told, run.run_id)
