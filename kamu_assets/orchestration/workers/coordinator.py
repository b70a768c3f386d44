"""Starts a run at once when its dataset is free and a worker is near; queues it for Dagster's daemon otherwise."""

from collections.abc import Mapping

from dagster import AssetKey
from dagster._core.instance import DagsterInstance
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster._core.workspace.context import BaseWorkspaceRequestContext

from kamu_assets.odf.did import DID_ODF
from kamu_assets.orchestration.names import (
    METADATA_DATASET_ID,
    METADATA_ENGINE,
    TAG_DATASET,
    TAG_ENGINES,
    TAG_FLOW,
    TAG_WEBHOOK,
    asset_key,
)
from kamu_assets.orchestration.operations import asked_by
from kamu_assets.orchestration.workers.capacity import joined
from kamu_assets.orchestration.workers.launcher import HybridRunLauncher, subject_of
from kamu_assets.orchestration.workers.runtimes import require_runtime, require_selection


class FastRunCoordinator(QueuedRunCoordinator[DagsterInstance]):
    """Dagster's queue with a way around it: the queue adds up to a second."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        run = context.dagster_run
        if run.status is not DagsterRunStatus.NOT_STARTED:
            return super().submit_run(context)
        # Now, and not when it comes to the front of the queue: whoever asks for it is still there to be told.
        require_runtime(run)
        require_selection(run)
        if missing := _missing_tags(run, context.workspace):
            self._instance.add_run_tags(run.run_id, missing)
            run = self._instance.get_run_by_id(run.run_id) or run
        launcher = self._instance.run_launcher
        if isinstance(launcher, HybridRunLauncher) and launcher.queue.has_room(subject_of(run)):
            return self._instance.launch_run(run.run_id, context.workspace)
        return super().submit_run(SubmitRunContext(run, context.workspace))


def _missing_tags(run: DagsterRun, workspace: BaseWorkspaceRequestContext) -> dict[str, str]:
    """Tags of a run that the UI made: the dataset's, if it is one, keeps its runs apart; engines have few places."""
    if TAG_FLOW in run.tags or TAG_DATASET in run.tags:
        # The node's own, or one that is made like it.
        return {}
    return {name: text for name, text in _tags(run, workspace).items() if name not in run.tags}


def _tags(run: DagsterRun, workspace: BaseWorkspaceRequestContext) -> dict[str, str]:
    tags: dict[str, str] = {}
    asked = asked_by(run)
    if asked is not None and asked.subscription is not None:
        return tags | {TAG_WEBHOOK: asked.subscription}
    keys = list(run.asset_selection or ()) if asked is None else _key(asked.dataset)
    if asked is not None and asked.dataset is not None and asked.dataset.startswith(DID_ODF):
        tags[TAG_DATASET] = asked.dataset
    if not keys:
        return tags
    graph = workspace.asset_graph
    known = [graph.get(key).metadata for key in keys if graph.has(key)]
    computed = known if asked is None else ()
    if engines := joined(engine for metadata in computed if (engine := _text(metadata, METADATA_ENGINE))):
        tags[TAG_ENGINES] = engines
    if len(keys) == 1 and known and (dataset := _text(known[0], METADATA_DATASET_ID)):
        tags[TAG_DATASET] = dataset
    return tags


def _key(dataset: str | None) -> list[AssetKey]:
    """The asset of `account/name`."""
    account, slash, name = (dataset or "").partition("/")
    return [asset_key(account, name)] if slash and not account.startswith(DID_ODF) else []


def _text(metadata: Mapping[str, object], name: str) -> str | None:
    value = metadata.get(name)
    return None if value is None else str(getattr(value, "value", value))
