"""Dagster's webserver, asked over GraphQL the way its own pages ask it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

_ASSETS = "{ assetNodes { assetKey { path } } }"
_LOCATIONS = "{ assetNodes { assetKey { path } repository { location { name } } } }"
_ORIGIN = """query ($id: ID!) { runOrError(runId: $id) { ... on Run {
  repositoryOrigin { repositoryLocationName } } } }"""
_RUNS = """query ($tags: [ExecutionTag!], $limit: Int) {
  runsOrError(filter: {tags: $tags}, limit: $limit) { __typename ... on Runs { results { runId status } } } }"""
_TOLD = """{ runsOrError(filter: {}, limit: 10000) { ... on Runs { results {
  runId status startTime endTime parentRunId rootRunId tags { key value } } } } }"""
_RUN = "query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { runId status } } }"
_EVENTS = """query ($id: ID!) { runOrError(runId: $id) { __typename ... on Run { eventConnection(limit: 1000) {
  events { ... on MessageEvent { eventType timestamp message } } } } } }"""
_FAILURES = """query ($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection(limit: 1000) { events {
  ... on ExecutionStepFailureEvent { message error { message stack errorChain { error { message stack } } }
    failureMetadata { description metadataEntries { label ... on TextMetadataEntry { text } } } } } } } } }"""
_LATEST_RUN = "query ($keys: [AssetKeyInput!]!) { assetsLatestInfo(assetKeys: $keys) { latestRun { id status } } }"
_LIVE = """{ runsOrError(filter: {statuses: [NOT_STARTED, QUEUED, STARTING, STARTED, CANCELING]}) {
  __typename ... on Runs { results { runId status } } } }"""
_MATERIALIZATIONS = """query ($key: AssetKeyInput!) { assetOrError(assetKey: $key) { __typename ... on Asset {
  assetMaterializations(limit: 1000) { runId timestamp metadataEntries {
    label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } } } } } }"""
_CHECKS = """query ($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 100) { runId status evaluation { description
    metadataEntries { label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } } } } }"""
_TERMINATE = """mutation ($id: String!) { terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) {
  __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }"""
_BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on PythonError { message } } }"""
# What "Materialize" on an asset's page sends.
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run in the list of runs."""

    id: str
    status: str

    @property
    def has_ended(self) -> bool:
        return self.status in {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True, slots=True)
class RunTold(RunSeen):
    """With all that the list tells of it."""

    tags: dict[str, str]
    # Whether anybody began with it.
    has_begun: bool
    # The attempt before it, and the first one.
    parent: str | None
    root: str | None


@dataclass(frozen=True, slots=True)
class RunEvent:
    """An event of a run's log. Events without a Dagster type have an empty one."""

    type: str
    # Seconds since the Unix epoch.
    at: float
    message: str


@dataclass(frozen=True, slots=True)
class FailureSeen:
    """Why a step failed, in the order of the page: what is wrong, facts about it, tracebacks."""

    message: str
    metadata: dict[str, str | None]
    # Of the error and of what caused it.
    stacks: list[list[str]]


@dataclass(frozen=True, slots=True)
class MaterializationSeen:
    """An event on an asset's page; `run_id` is empty when it was reported without a run."""

    run_id: str
    at: float
    # Texts and numbers; other kinds of metadata are there with None.
    metadata: dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """An execution of a check."""

    run_id: str
    # IN_PROGRESS, SUCCEEDED, FAILED, EXECUTION_FAILED or SKIPPED.
    status: str
    description: str | None
    metadata: dict[str, str | int | None]


class DagsterUi:
    """Assets, runs, and the Materialize button."""

    def __init__(self, base: str, http: httpx.Client) -> None:
        self.base = base
        self._http = http

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._http.post(f"{self.base}/graphql", json={"query": query, "variables": variables})
        # That is also how an answer comes that tells of an error.
        if answer.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
            answer.raise_for_status()
        document = answer.json()
        assert not document.get("errors"), document
        data: dict[str, Any] = document["data"]
        return data

    def assets(self) -> set[tuple[str, ...]]:
        """The keys of all assets that are defined now."""
        return {tuple(node["assetKey"]["path"]) for node in self.ask(_ASSETS)["assetNodes"]}

    def locations(self) -> dict[tuple[str, ...], str]:
        """The code location of each asset."""
        nodes = self.ask(_LOCATIONS)["assetNodes"]
        return {tuple(node["assetKey"]["path"]): node["repository"]["location"]["name"] for node in nodes}

    def location_of_run(self, run_id: str) -> str:
        """Where the UI believes that a run comes from."""
        return str(self.ask(_ORIGIN, id=run_id)["runOrError"]["repositoryOrigin"]["repositoryLocationName"])

    def backfill(self, keys: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Ask for a backfill of all of them; what came of it."""
        params = {"assetSelection": [{"path": list(key)} for key in keys], "allPartitions": True}
        answer: dict[str, Any] = self.ask(_BACKFILL, params=params)["launchPartitionBackfill"]
        return answer

    def runs(self, *, tags: dict[str, str], limit: int | None = None) -> Sequence[RunSeen]:
        """The runs with these tags, newest first."""
        given = [{"key": key, "value": value} for key, value in tags.items()]
        found = self.ask(_RUNS, tags=given, limit=limit)["runsOrError"]["results"]
        return [RunSeen(run["runId"], run["status"]) for run in found]

    def told_runs(self) -> Sequence[RunTold]:
        """All runs there are, newest first."""
        return [
            RunTold(
                run["runId"],
                run["status"],
                {tag["key"]: tag["value"] for tag in run["tags"]},
                # One that ended without having begun is said to have begun when it ended.
                run["startTime"] not in {None, run["endTime"]},
                run["parentRunId"],
                run["rootRunId"],
            )
            for run in self.ask(_TOLD)["runsOrError"]["results"]
        ]

    def run(self, run_id: str) -> RunSeen | None:
        found = self.ask(_RUN, id=run_id)["runOrError"]
        return RunSeen(found["runId"], found["status"]) if found["__typename"] == "Run" else None

    def events(self, run_id: str) -> Sequence[RunEvent]:
        """The log of a run, oldest first."""
        events = self.ask(_EVENTS, id=run_id)["runOrError"]["eventConnection"]["events"]
        return [RunEvent(e["eventType"] or "", float(e["timestamp"]) / 1000, e["message"]) for e in events]

    def failure(self, run_id: str) -> FailureSeen:
        """Why its only step failed."""
        events = self.ask(_FAILURES, id=run_id)["runOrError"]["eventConnection"]["events"]
        (failed,) = [event for event in events if event.get("error")]
        error, facts = failed["error"], (failed["failureMetadata"] or {}).get("metadataEntries", ())
        stacks = [error["stack"], *(each["error"]["stack"] for each in error["errorChain"])]
        return FailureSeen(error["message"], {each["label"]: each.get("text") for each in facts}, stacks)

    def latest_run(self, key: Sequence[str]) -> RunSeen:
        """What an asset's page says of its newest run."""
        (found,) = self.ask(_LATEST_RUN, keys=[{"path": list(key)}])["assetsLatestInfo"]
        return RunSeen(found["latestRun"]["id"], found["latestRun"]["status"])

    def live_runs(self) -> Sequence[RunSeen]:
        """The runs that have not ended."""
        return [RunSeen(run["runId"], run["status"]) for run in self.ask(_LIVE)["runsOrError"]["results"]]

    def materializations(self, key: Sequence[str]) -> Sequence[MaterializationSeen]:
        """The newest thousand of an asset, oldest first."""
        asset = self.ask(_MATERIALIZATIONS, key={"path": list(key)})["assetOrError"]
        found = [_materialization(each) for each in asset.get("assetMaterializations", ())]
        return found[::-1]

    def terminate(self, run_id: str) -> str:
        """Press Terminate; what came of it, by its type's name."""
        return str(self.ask(_TERMINATE, id=run_id)["terminateRun"]["__typename"])

    def checks(self, key: Sequence[str], name: str) -> Sequence[CheckSeen]:
        """What came of a check, newest first."""
        found = self.ask(_CHECKS, key={"path": list(key)}, name=name)["assetCheckExecutions"]
        return [_check(each) for each in found]

    def materialize(self, key: Sequence[str], *, checks: Sequence[str] = (), location: str = "catalog") -> str:
        """Press Materialize, which asks for the checks as well when there are any; the id of the run."""
        launched = self.launch([key], [(key, check) for check in checks], location=location)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def execute_check(self, key: Sequence[str], name: str) -> str:
        """Press Execute on the page of a check; the id of the run."""
        launched = self.launch([], [(key, name)])
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def launch(
        self,
        keys: Sequence[Sequence[str]],
        checks: Sequence[tuple[Sequence[str], str]] = (),
        *,
        location: str = "catalog",
    ) -> dict[str, Any]:
        """Ask for one run; what came of it."""
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": list(key)} for key in keys],
            "assetCheckSelection": [{"assetKey": {"path": list(key)}, "name": name} for key, name in checks],
        }
        params = {"mode": "default", "runConfigData": "{}", "executionMetadata": {"tags": []}, "selector": selector}
        answer: dict[str, Any] = self.ask(_LAUNCH, params=params)["launchRun"]
        return answer


def _check(execution: dict[str, Any]) -> CheckSeen:
    evaluation = execution["evaluation"]
    entries = evaluation["metadataEntries"] if evaluation else ()
    metadata = {each["label"]: each.get("text", each.get("intValue")) for each in entries}
    return CheckSeen(execution["runId"], execution["status"], (evaluation or {}).get("description"), metadata)


def _materialization(event: dict[str, Any]) -> MaterializationSeen:
    metadata = {each["label"]: each.get("text", each.get("intValue")) for each in event["metadataEntries"]}
    return MaterializationSeen(event["runId"], float(event["timestamp"]) / 1000, metadata)
