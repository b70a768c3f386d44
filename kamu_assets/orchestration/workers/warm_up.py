"""Makes the first run of a process as fast as the later ones: Dagster imports and builds much when first used."""

from dagster import DagsterInstance, OpExecutionContext, RunsFilter, job, op

_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@op
def nothing(context: OpExecutionContext) -> None:
    """Do what every run does, and no more."""
    context.log.debug("warm")


@job
def warming() -> None:
    nothing()


def warm_up(instance: DagsterInstance) -> None:
    """Run a job that leaves no trace, and open the storages."""
    with DagsterInstance.ephemeral() as nowhere:
        warming.execute_in_process(instance=nowhere, run_config=_SILENT)
    instance.get_run_records(RunsFilter(), limit=1)
    instance.get_asset_keys(limit=1)
