"""The datasets of the scenarios: numbered records, and derivatives that add one to each number."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kamu_assets.flows.model import Flow, FlowState
from kamu_assets.odf.identity import DatasetAlias
from tests.support.running_node import RunningNode

_READ = 'read: {kind: NdJson, ddlSchema: ["event_time TIMESTAMP", "n BIGINT"]}'


def pushed_root(name: str) -> str:
    """A root that takes pushes and has nothing to poll."""
    return _snapshot(name, "Root", f"kind: AddPushSource\n      sourceName: default\n      {_READ}\n      {_APPEND}")


def polled_root(name: str, url: str) -> str:
    """A root that reads a file or a page; each number counts once."""
    fetch = f"fetch: {{kind: Url, url: '{url}'}}"
    merge = "merge: {kind: Ledger, primaryKey: [n]}"
    return _snapshot(name, "Root", f"kind: SetPollingSource\n      {fetch}\n      {_READ}\n      {merge}")


def derivative(name: str, *, of: str) -> str:
    """Every record of its input, its number increased by one."""
    transform = "transform: {kind: Sql, engine: datafusion, query: 'select event_time, n + 1 as n from input'}"
    inputs = f"inputs: [{{datasetRef: kamu/{of}, alias: input}}]"
    return _snapshot(name, "Derivative", f"kind: SetTransform\n      {inputs}\n      {transform}")


def records(numbers: Iterable[int]) -> str:
    """As NDJSON."""
    return "".join(json.dumps({"event_time": "2024-01-01T00:00:00Z", "n": number}) + "\n" for number in numbers)


def add(node: RunningNode, *manifests: str) -> None:
    """Add datasets through the command line."""
    folder = node.home / "manifests"
    folder.mkdir(exist_ok=True)
    files = []
    for manifest in manifests:
        files.append(folder / f"{len(list(folder.iterdir()))}.yaml")
        files[-1].write_text(manifest, encoding="utf-8")
    node.kamu_node("add", *map(str, files))


def numbers(node: RunningNode, dataset: str) -> list[int]:
    """What a dataset holds, in its order."""
    query = {"query": f'select n from "kamu/{dataset}" order by "offset"', "dataFormat": "JsonAoA", "limit": 100_000}
    answer = node.request("POST", "/query", json=query, anonymous=True)
    assert answer.is_success, answer.text
    return [row[0] for row in answer.json()["output"]["data"]]


def flows(node: RunningNode, dataset: str) -> list[Flow]:
    """The dataset's flows, newest first."""
    with node.opened() as home:
        alias = DatasetAlias.parse(f"kamu/{dataset}")
        return list(home.flows.list(home.auth.admin_caller(), dataset=alias, limit=10_000))


def live_flows(node: RunningNode) -> list[Flow]:
    """All flows that have not ended."""
    with node.opened() as home:
        found = home.flows.list(home.auth.admin_caller(), limit=10_000)
    return [flow for flow in found if flow.state is not FlowState.FINISHED]


def _snapshot(name: str, kind: str, event: str) -> str:
    return f"""
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: {kind}
  metadata:
    - {event}
    - kind: SetInfo
      description: Numbers, as they are counted
"""


_APPEND = "merge: {kind: Append}"
