"""Starts a run at once when its dataset is free and a worker is near; queues it for Dagster's daemon otherwise."""

from collections.abc import Mapping

from dagster._core.instance import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.orchestration.capacity import joined
from kamu_assets.orchestration.launcher import HybridRunLauncher
from kamu_assets.orchestration.names import (
    METADATA_DATASET_ID,
    METADATA_ENGINE,
    RUNTIME_WARM,
    TAG_DATASET,
    TAG_ENGINES,
    TAG_RUNTIME,
)
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
    """Tags of a run that the UI made: the dataset's, if it is one, keeps its runs apart; engines have few places."""
    tags = {TAG_RUNTIME: RUNTIME_WARM}
    keys = list(run.asset_selection or ())
    if not keys:
        return tags
    graph = workspace.asset_graph
    known = [graph.get(key).metadata for key in keys if graph.has(key)]
    if engines := joined(engine for metadata in known if (engine := _text(metadata, METADATA_ENGINE))):
        tags[TAG_ENGINES] = engines
    if len(keys) == 1 and known and (dataset := _text(known[0], METADATA_DATASET_ID)):
        tags[TAG_DATASET] = dataset
    return tags


def _text(metadata: Mapping[str, object], name: str) -> str | None:
    value = metadata.get(name)
    return None if value is None else str(getattr(value, "value", value))
