"""Makes the run of a flow's attempt: of a dataset's asset, of its check, or of a job of the `flows` location."""

from collections.abc import Mapping

from dagster import AssetCheckKey, AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_origin import RemoteJobOrigin
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, PRIORITY_TAG, ROOT_RUN_ID_TAG

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import Flow, FlowType
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.shards import shard_count, shard_of
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.names import (
    ASSET_JOB,
    CHECK_VERIFY,
    TAG_ACCOUNT,
    TAG_ATTEMPT,
    TAG_DATASET,
    TAG_ENGINES,
    TAG_FLOW,
    TAG_FLOW_TYPE,
    TAG_LAUNCHED_BY,
    TAG_WEBHOOK,
    asset_key,
)
from kamu_assets.orchestration.operations import OPERATIONS, config_of
from kamu_assets.orchestration.origins import (
    flows_job_code_origin,
    flows_job_origin,
    job_code_origin,
    remote_job_origin,
)
from kamu_assets.orchestration.scoped import ScopedJob, ScopedJobs

_LAUNCHED_BY = {
    CauseKind.MANUAL: "request",
    CauseKind.AUTO_POLLING: "trigger",
    CauseKind.INPUT_UPDATED: "new data",
    CauseKind.ITERATION_FINISHED: "the run before it",
    CauseKind.DAGSTER_UI: "Dagster",
}


class RunMaker:
    """Creates runs in process: no code server is asked."""

    def __init__(self, *, instance: DagsterInstance, config: AdapterConfig, catalog: Catalog, jobs: ScopedJobs) -> None:
        self._instance = instance
        self._config = config
        self._catalog = catalog
        self._jobs = jobs

    def make(self, flow: Flow) -> DagsterRun:
        """The run `flow.run_id`, not submitted yet; DatasetNotFoundError when its dataset is gone."""
        if flow.type in OPERATIONS:
            return self._of_job(flow)
        if flow.dataset_id is None:
            raise ValueError(f"flows of type {flow.type} have a dataset")
        if flow.type is FlowType.VERIFY:
            return self._of_asset(flow, self._described(flow.dataset_id), verify=True)
        return self._of_asset(flow, self._catalog.row(flow.dataset_id))

    def _described(self, dataset: DatasetID) -> CatalogRow:
        """A damaged dataset can be verified as well."""
        return self._catalog.rows([dataset]).get(dataset) or self._catalog.row(dataset)

    def _of_asset(self, flow: Flow, row: CatalogRow, *, verify: bool = False) -> DagsterRun:
        key = asset_key(row.account, row.name)
        checks = frozenset({AssetCheckKey(key, CHECK_VERIFY)}) if verify else None
        scoped = self._jobs.of([row], only=checks or ())
        shard = shard_of(self._config, row.id, row.account, count=shard_count(self._config))
        return create_run(
            self._instance,
            scoped,
            run_id=flow.run_id,
            job=ASSET_JOB,
            origins=(remote_job_origin(self._config, shard), job_code_origin()),
            tags=_tags(flow, row.account, row.engine if flow.type.computes else None),
            assets=frozenset() if verify else frozenset([key]),
            checks=checks,
            after=(flow.root_run_id, flow.parent_run_id),
        )

    def _of_job(self, flow: Flow) -> DagsterRun:
        job = OPERATIONS[flow.type].job
        account = str(self._catalog.entry(flow.dataset_id).account) if flow.dataset_id is not None else None
        return create_run(
            self._instance,
            self._jobs.named(job),
            run_id=flow.run_id,
            job=job,
            origins=(flows_job_origin(self._config, job), flows_job_code_origin(job)),
            tags=_tags(flow, account, None),
            run_config=config_of(flow),
            after=(flow.root_run_id, flow.parent_run_id),
        )


def create_run(
    instance: DagsterInstance,
    scoped: ScopedJob,
    *,
    run_id: str | None,
    job: str,
    origins: tuple[RemoteJobOrigin, JobPythonOrigin],
    tags: Mapping[str, str],
    run_config: Mapping[str, object] | None = None,
    assets: frozenset[AssetKey] | None = None,
    checks: frozenset[AssetCheckKey] | None = None,
    after: tuple[str | None, str | None] = (None, None),
) -> DagsterRun:
    """A run of the node's own, not submitted yet; `after` the first and the last attempt before it."""
    root_run_id, parent_run_id = after
    remote_origin, code_origin = origins
    return DagsterInstance.create_run(
        instance,
        job_name=job,
        run_id=run_id,
        run_config=run_config or {},
        status=DagsterRunStatus.NOT_STARTED,
        tags=tags,
        root_run_id=root_run_id,
        parent_run_id=parent_run_id,
        step_keys_to_execute=None,
        execution_plan_snapshot=scoped.plan_snapshot if run_config is None else scoped.plan_with(run_config),
        job_snapshot=scoped.job_snapshot,
        parent_job_snapshot=None,
        asset_selection=assets,
        asset_check_selection=checks,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=remote_origin,
        job_code_origin=code_origin,
        asset_graph=scoped.job.asset_layer.asset_graph,
    )


def _tags(flow: Flow, account: str | None, engine: str | None) -> dict[str, str]:
    tags = {
        TAG_FLOW: str(flow.id),
        TAG_FLOW_TYPE: flow.type.value,
        TAG_ATTEMPT: str(flow.attempt),
        TAG_LAUNCHED_BY: _LAUNCHED_BY[flow.cause.kind],
        PRIORITY_TAG: str(flow.priority),
    }
    found = {TAG_ACCOUNT: account, TAG_ENGINES: engine}
    match flow.scope:
        case DatasetID() as dataset:
            found[TAG_DATASET] = str(dataset)
        case WebhookScope(subscription_id=subscription):
            found[TAG_WEBHOOK] = subscription
    tags |= {name: str(value) for name, value in found.items() if value is not None}
    if flow.root_run_id and flow.parent_run_id:
        tags |= {ROOT_RUN_ID_TAG: flow.root_run_id, PARENT_RUN_ID_TAG: flow.parent_run_id}
    return tags
