"""What people do in Dagster's UI, through the GraphQL that the UI itself speaks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.arguments import ResetArguments
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowType, OutcomeKind
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.orchestration.names import TAG_DATASET, TAG_FLOW, TAG_IDLE, TAG_STOPPED
from kamu_assets.orchestration.processes import catalog_command, flows_command, webserver_command
from tests.support.coordination import a_reorganization
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
REEXECUTE = """
mutation ($parent: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $parent, strategy: ALL_STEPS}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
TERMINATE_ALL = """
mutation ($runs: [String!]!, $policy: TerminateRunPolicy) {
  terminateRuns(runIds: $runs, terminatePolicy: $policy) {
    ... on TerminateRunsResult { terminateRunResults { __typename } }
  }
}"""
DELETE = """
mutation ($run: String!) { deleteRun(runId: $run) { __typename ... on PythonError { message } } }"""
TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
ASSET = """
query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    __typename
    ... on AssetNode {
      groupName
      opNames
      kinds
      owners { ... on TeamAssetOwner { team } }
      dependencyKeys { path }
      assetMaterializations(limit: 1) { metadataEntries { label } }
    }
  }
}"""
COLUMNS = """
query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetMaterializations(limit: 1) {
        metadataEntries {
          ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } }
        }
      }
    }
  }
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    with dagster_home(tmp_path_factory.mktemp("node")) as home:
        for command in (catalog_command, flows_command, webserver_command):
            home.start(command(home.config))
        home.start_own("scheduler")
        home.start_own("worker")
        wait_until(lambda: _is_up(home))
        yield home


@pytest.fixture(scope="module")
def instance(home: DagsterHome) -> Iterator[DagsterInstance]:
    with home.instance() as instance:
        yield instance


def ask(home: DagsterHome, query: str, **variables: object) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{home.config.webserver_port}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
            answer = json.load(response)
    except urllib.error.HTTPError as refused:
        # What was refused is told as any other answer.
        answer = json.load(refused)
    assert "errors" not in answer, answer
    return answer["data"]


def _is_up(home: DagsterHome) -> bool:
    try:
        ask(home, "{ version }")
    except (OSError, urllib.error.URLError):
        return False
    return True


def shown(home: DagsterHome, entry: DatasetEntry) -> dict[str, Any]:
    """The asset, once the UI has it."""

    def look() -> dict[str, Any] | None:
        node: dict[str, Any] = ask(home, ASSET, key={"path": _path(entry)})["assetNodeOrError"]
        return node if node["__typename"] == "AssetNode" else None

    return wait_until(look)


def materialize(home: DagsterHome, *entries: DatasetEntry) -> str:
    """Click Materialize; tells the run."""
    for entry in entries:
        shown(home, entry)
    selector = {
        "repositoryLocationName": "catalog",
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": _path(entry)} for entry in entries],
    }
    answer = ask(home, LAUNCH, params={"selector": selector, "mode": "default"})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def start(home: DagsterHome, job: str, op: str, **config: object) -> str:
    """Launch a job of the node from its launchpad; tells the run."""
    selector = {"repositoryLocationName": "flows", "repositoryName": "__repository__", "jobName": job}
    told = json.dumps({"ops": {op: {"config": config}}})
    answer = ask(home, LAUNCH, params={"selector": selector, "mode": "default", "runConfigData": told})["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def a_root(home: DagsterHome, name: str) -> DatasetEntry:
    """With slices to put together."""
    root = home.parts.root(f"{name}-{uuid4().hex[:8]}")
    for _ in range(2):
        home.parts.push(root.id)
    return root


def begun(instance: DagsterInstance, run_id: str) -> None:
    wait_until(lambda: (r := instance.get_run_by_id(run_id)) and r.status is DagsterRunStatus.STARTED)


def _path(entry: DatasetEntry) -> list[str]:
    return [str(entry.account), str(entry.name)]


def test_a_dataset_is_shown_as_an_asset(home: DagsterHome) -> None:
    root = home.parts.root(f"root.{uuid4().hex[:8]}")
    derivative = home.parts.derivative(f"derivative-{uuid4().hex[:8]}", root)

    node = shown(home, derivative)

    assert node["groupName"] == "kamu"
    assert node["opNames"] == [f"ds_{derivative.id.to_bytes().hex()}"]
    assert set(node["kinds"]) == {"parquet", "sql", "derivative", "datafusion"}
    assert node["owners"] == [{"team": "kamu"}]
    assert node["dependencyKeys"] == [{"path": _path(root)}]


def test_materialize_updates_a_root_as_a_flow(home: DagsterHome, instance: DagsterInstance) -> None:
    root = home.parts.root(f"polled-{uuid4().hex[:8]}")

    run_id = materialize(home, root)

    (flow,) = home.parts.finished(root.id)
    assert flow.outcome is not None
    assert (flow.cause.kind, flow.run_id, flow.outcome.kind) == (CauseKind.DAGSTER_UI, run_id, OutcomeKind.SUCCESS)
    labels = [entry["label"] for entry in shown(home, root)["assetMaterializations"][0]["metadataEntries"]]
    assert {"dagster/row_count", "preview", "kamu/head"} <= set(labels)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[TAG_DATASET] == str(root.id)


def test_columns_lead_to_those_of_the_inputs(home: DagsterHome) -> None:
    root = home.parts.root(f"polled-{uuid4().hex[:8]}")
    derivative = home.parts.derivative(f"derivative-{uuid4().hex[:8]}", root)

    materialize(home, root)
    home.parts.finished(derivative.id)

    (said,) = ask(home, COLUMNS, key={"path": _path(derivative)})["assetNodeOrError"]["assetMaterializations"]
    (lineage,) = [entry["lineage"] for entry in said["metadataEntries"] if "lineage" in entry]
    assert {each["columnName"]: each["columnDeps"] for each in lineage} == {
        name: [{"assetKey": {"path": _path(root)}, "columnName": name}] for name in ("op", "event_time")
    }


def test_materialize_on_a_root_that_takes_pushes_succeeds_without_a_materialization(
    home: DagsterHome, instance: DagsterInstance
) -> None:
    root = home.parts.root(f"pushed-{uuid4().hex[:8]}")

    run_id = materialize(home, root)

    (flow,) = home.parts.finished(root.id)
    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.UP_TO_DATE
    assert shown(home, root)["assetMaterializations"] == []
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.SUCCESS


def test_runs_of_flows_and_of_the_ui_come_from_the_same_place(home: DagsterHome, instance: DagsterInstance) -> None:
    root = home.parts.root(f"polled-{uuid4().hex[:8]}")
    by_ui = materialize(home, root)
    home.parts.finished(root.id)
    home.parts.flows.request_run(ADMIN, root.id)

    flows = home.parts.finished(root.id, count=2)

    runs = [instance.get_run_by_id(str(flow.run_id)) for flow in flows]
    origins = {run.remote_job_origin.get_id() for run in runs if run and run.remote_job_origin}
    assert len(origins) == 1
    assert by_ui in {flow.run_id for flow in flows}


def test_terminate_stops_a_run(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(f"polled-slow-{uuid4().hex[:8]}")
    run_id = materialize(home, slow)
    wait_until(lambda: (r := instance.get_run_by_id(run_id)) and r.status is DagsterRunStatus.STARTED)

    ask(home, TERMINATE, run=run_id)

    (flow,) = home.parts.finished(slow.id)
    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.ABORTED


def test_a_compaction_started_by_hand_is_a_manual_flow(home: DagsterHome, instance: DagsterInstance) -> None:
    root = a_root(home, "compacted")
    before = home.parts.chains.state(root.id).sequence_number
    shown(home, root)

    run_id = start(home, "compact_dataset", "compact", dataset=str(root.alias))

    (flow,) = home.parts.finished(root.id)
    assert flow.outcome is not None
    assert (flow.type, flow.cause.kind, flow.run_id) == (FlowType.HARD_COMPACTION, CauseKind.DAGSTER_UI, run_id)
    assert flow.outcome.kind is OutcomeKind.SUCCESS
    assert home.parts.chains.state(root.id).sequence_number == before - 1
    run = instance.get_run_by_id(run_id)
    assert run is not None
    # It waits for whatever else is done to the dataset.
    assert run.tags[TAG_DATASET] == str(root.id)


def test_a_job_without_its_arguments_is_refused_by_the_ui(home: DagsterHome) -> None:
    selector = {"repositoryLocationName": "flows", "repositoryName": "__repository__", "jobName": "reset_dataset"}

    answer = ask(home, LAUNCH, params={"selector": selector, "mode": "default"})["launchRun"]

    assert answer["__typename"] == "RunConfigValidationInvalid"


@pytest.mark.parametrize(
    ("type_", "by"),
    [
        (FlowType.HARD_COMPACTION, "flow"),
        (FlowType.HARD_COMPACTION, "ui"),
        (FlowType.VERIFY, "flow"),
        (FlowType.VERIFY, "ui"),
        (FlowType.RESET, "flow"),
        (FlowType.RESET_TO_METADATA, "flow"),
    ],
    ids=str,
)
def test_what_is_stopped_leaves_the_dataset_as_it_was(
    home: DagsterHome, instance: DagsterInstance, type_: FlowType, by: str
) -> None:
    slow = a_root(home, "slow")
    head = home.parts.chains.head(slow.id)
    config = FlowConfig(reset=ResetArguments()) if type_ is FlowType.RESET else PLAIN
    asked = home.parts.requests().run(ADMIN, slow.id, type_, config)
    run_id = wait_until(lambda: home.parts.flows.get(ADMIN, asked.id).run_id)
    begun(instance, run_id)

    if by == "ui":
        ask(home, TERMINATE, run=run_id)
    else:
        home.parts.flows.cancel(ADMIN, asked.id)

    # Long before it would have ended by itself.
    (flow,) = home.parts.finished(slow.id)
    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.ABORTED
    assert home.parts.chains.head(slow.id) == head
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is DagsterRunStatus.CANCELED


def test_a_collection_of_garbage_that_is_stopped_removes_nothing_more(
    home: DagsterHome, instance: DagsterInstance
) -> None:
    slow = a_root(home, "slow")
    a_reorganization(home.parts.heart).reset(ADMIN, slow.id)
    folder = Path(home.parts.datasets.storage_location(slow))
    before = sorted(folder.rglob("*"))
    asked = home.parts.requests().collect(ADMIN)
    run_id = wait_until(lambda: home.parts.flows.get(ADMIN, asked.id).run_id)
    begun(instance, run_id)

    home.parts.flows.cancel(ADMIN, asked.id)

    outcome = wait_until(lambda: home.parts.flows.get(ADMIN, asked.id).outcome)
    assert outcome.kind is OutcomeKind.ABORTED
    assert sorted(folder.rglob("*")) == before


def test_what_is_done_to_a_dataset_is_done_in_turn(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = a_root(home, "slow")
    shown(home, slow)
    asked = home.parts.requests().run(ADMIN, slow.id, FlowType.HARD_COMPACTION)
    running = wait_until(lambda: home.parts.flows.get(ADMIN, asked.id).run_id)
    begun(instance, running)

    other = start(home, "reset_dataset", "reset", dataset=str(slow.id), to_seed=True)
    waiting = home.parts.requests().run(ADMIN, slow.id, FlowType.RESET_TO_METADATA)

    run = instance.get_run_by_id(other)
    assert run is not None
    assert run.status in {DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING}
    assert home.parts.flows.get(ADMIN, waiting.id).run_id is None
    ask(home, TERMINATE, run=other)
    home.parts.flows.cancel(ADMIN, waiting.id)
    home.parts.flows.cancel(ADMIN, asked.id)
    home.parts.finished(slow.id, count=2)


def test_a_run_once_more_is_a_flow_of_its_own(home: DagsterHome, instance: DagsterInstance) -> None:
    root = a_root(home, "compacted")
    shown(home, root)
    first = home.parts.requests().run(ADMIN, root.id, FlowType.HARD_COMPACTION)
    (done,) = home.parts.finished(root.id)
    instance.add_run_tags(str(done.run_id), {TAG_IDLE: "true", TAG_STOPPED: "whatever it was"})
    for _ in range(2):
        home.parts.push(root.id)

    answer = ask(home, REEXECUTE, parent=str(done.run_id))["launchRunReexecution"]

    assert answer["__typename"] == "LaunchRunSuccess", answer
    (again, _) = home.parts.finished(root.id, count=2)
    assert (again.run_id, again.cause.kind) == (answer["run"]["runId"], CauseKind.DAGSTER_UI)
    assert again.outcome is not None
    assert again.outcome.kind is OutcomeKind.SUCCESS
    run = instance.get_run_by_id(str(again.run_id))
    assert run is not None
    assert (run.tags[TAG_FLOW], run.parent_run_id) == (str(again.id), done.run_id)
    assert again.id != first.id
    assert not {TAG_IDLE, TAG_STOPPED} & {*run.tags}


def test_what_waits_is_terminated_first_and_deleted_then(home: DagsterHome, instance: DagsterInstance) -> None:
    slow = home.parts.root(f"polled-slow-{uuid4().hex[:8]}")
    busy = materialize(home, slow)
    begun(instance, busy)
    behind = materialize(home, slow)

    refused = ask(home, DELETE, run=behind)["deleteRun"]
    force = "MARK_AS_CANCELED_IMMEDIATELY"
    told = ask(home, TERMINATE_ALL, runs=[behind, busy], policy=force)["terminateRuns"]["terminateRunResults"]

    assert refused["__typename"] == "PythonError"
    assert "terminate it" in refused["message"]
    assert [each["__typename"] for each in told] == ["TerminateRunSuccess", "TerminateRunSuccess"]
    flows = home.parts.finished(slow.id, count=2)
    assert {flow.run_id for flow in flows} == {behind, busy}
    assert {flow.outcome and flow.outcome.kind for flow in flows} == {OutcomeKind.ABORTED}
    assert ask(home, DELETE, run=behind)["deleteRun"]["__typename"] == "DeletePipelineRunSuccess"


def test_who_selects_nothing_is_told_so(home: DagsterHome) -> None:
    selector = {"repositoryLocationName": "catalog", "repositoryName": "__repository__", "jobName": "__ASSET_JOB"}
    shown(home, home.parts.root(f"some-{uuid4().hex[:8]}"))

    answer = ask(home, LAUNCH, params={"selector": selector, "mode": "default"})["launchRun"]

    assert answer["__typename"] == "PythonError"
    assert "nothing is selected" in answer["message"]
