"""The datasets of the scenarios: numbered records, and derivatives that add one to each number."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable

import httpx

from kamu_assets.flows.model import Flow, FlowState, WaitKind
from kamu_assets.odf.identity import DatasetAlias
from tests.support.manifests import a_manifest, polling_source, push_source, reading, transform
from tests.support.running_node import RunningNode

_READ = reading("event_time TIMESTAMP", "n BIGINT")
_INFO = "{kind: SetInfo, description: 'Numbers, as they are counted'}"


def pushed_root(name: str) -> str:
    """A root that takes pushes and has nothing to poll."""
    return a_manifest(name, "Root", push_source("default", _READ), _INFO)


def polled_root(name: str, url: str, *, key: str = "n") -> str:
    """A root that reads a file or a page; each number counts once."""
    source = polling_source(f"{{kind: Url, url: '{url}'}}", _READ, merge=f"{{kind: Ledger, primaryKey: [{key}]}}")
    return a_manifest(name, "Root", source, _INFO)


def polled_table(name: str, url: str) -> str:
    """The same from a CSV."""
    read = reading("event_time TIMESTAMP", "n BIGINT", kind="Csv", options="header: true")
    source = polling_source(f"{{kind: Url, url: '{url}'}}", read, merge="{kind: Ledger, primaryKey: [n]}")
    return a_manifest(name, "Root", source, _INFO)


def derivative(name: str, *, of: str) -> str:
    """Every record of its input, its number increased by one."""
    change = transform("select event_time, n + 1 as n from input", f"kamu/{of}", alias="input")
    return a_manifest(name, "Derivative", change, _INFO)


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


def numbers_so_far(node: RunningNode, name: str) -> list[int]:
    """None while nobody answers, or while the dataset has no columns yet."""
    with contextlib.suppress(httpx.TransportError, AssertionError):
        return numbers(node, name)
    return []


def count(node: RunningNode, dataset: str) -> int:
    """How many records a dataset has; nothing is read for that."""
    home, alias = node.inside, DatasetAlias.parse(f"kamu/{dataset}")
    return home.datasets.summary(home.auth.admin_caller(), alias).statistics.records


def flows(node: RunningNode, dataset: str) -> list[Flow]:
    """The dataset's flows, newest first."""
    home, alias = node.inside, DatasetAlias.parse(f"kamu/{dataset}")
    return list(home.flows.list(home.auth.admin_caller(), dataset=alias, limit=10_000))


def live_flows(node: RunningNode) -> list[Flow]:
    """All flows that have not ended, but for those that wait for the next time of their rule."""
    home = node.inside
    found = home.flows.list(home.auth.admin_caller(), limit=10_000)
    return [flow for flow in found if flow.state is not FlowState.FINISHED and not _is_for_later(flow)]


def _is_for_later(flow: Flow) -> bool:
    return flow.condition is not None and flow.condition.kind is WaitKind.SCHEDULE
