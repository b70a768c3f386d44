"""Starts a run at once when its dataset is free and a worker is near; queues it for Dagster's daemon otherwise."""

from dagster._core.instance import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.orchestration.launcher import HybridRunLauncher
from kamu_assets.orchestration.names import METADATA_DATASET_ID, RUNTIME_WARM, TAG_DATASET, TAG_RUNTIME
from kamu_assets.orchestration.runtimes import require_runtime


class FastRunCoordinator(QueuedRunCoordinator[DagsterInstance]):
    """Dagster's queue with a way around it: the queue adds up to a second."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        if run.status is not DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        # Now, and not when it comes to the front of the queue: whoever asks for it is still there to be told.
        require_runtime(run)
        if TAG_RUNTIME not in run.tags:
            self._instance.add_run_tags(run.run_id, _missing_tags(run, context.workspace))
            run = self._instance.get_run_by_id(run.run_id) or run
        launcher = self._instance.run_launcher
        if isinstance(launcher, HybridRunLauncher) and launcher.queue.has_room(run.tags.get(TAG_DATASET)):
            return self._instance.launch_run(run.run_id, context.workspace)
        return super().submit_run(SubmitRunContext(run, context.workspace))


def _missing_tags(run: DagsterRun, workspace: BaseWorkspaceRequestContext) -> dict[str, str]:
    """Tags of a run that the UI made: the dataset's, if it is one, keeps its runs apart."""
    tags = {TAG_RUNTIME: RUNTIME_WARM}
    keys = list(run.asset_selection or ())
    graph = workspace.asset_graph if len(keys) == 1 else None
    if graph is not None and graph.has(keys[0]):
        dataset = graph.get(keys[0]).metadata.get(METADATA_DATASET_ID)
        if dataset is not None:
            tags[TAG_DATASET] = str(dataset.value if hasattr(dataset, "value") else dataset)
    return tags
