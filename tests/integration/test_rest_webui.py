"""REST calls and queries of Kamu's web platform, answered as a kamu answered them in the same state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.recorded_seed import RECORDED, Seed
from tests.support.served_node import ServedNode, serving

# What this node has of the recorded state.
_DATASETS = frozenset({"alice/stations", "alice/readings", "alice/readings.daily", "bob/weather"})
# The reference answers 500 without a word; we say what is wrong.
_DEFECTS = {"change of data": 400, "two statements": 400}
# Told in the words of its library, with the place in the text.
_OTHER_WORDS = {"verify: changed sub-queries"}
_LATER = {
    "ui-config": "the web platform",
    "private dataset, reader": "private datasets",
    "upload prepare, anonymous": "uploads",
    "upload prepare, too large": "uploads",
    "upload prepare, no length": "uploads",
    "upload prepare": "uploads",
    "upload the file": "uploads",
    "push the upload, stranger": "uploads",
    "push the upload": "uploads",
    "push the upload again (nothing new)": "uploads",
    "read an upload that never was": "uploads",
    "GraphQL: no query": "GraphQL",
    "GraphQL: unknown field": "GraphQL",
    "GraphQL: malformed authorization header": "GraphQL",
}
_NOW = re.compile(r"20(?:2[6-9]|[3-9]\d)-\d\d-\d\dT[0-9:.]+Z")

Json = Any


def _cases(name: str) -> list[Json]:
    cases: list[Json] = json.loads((RECORDED / f"{name}.json").read_text())["cases"]
    return cases


_CALLS = {case["case"]: case for case in _cases("rest")}
_QUERIES = {case["case"]: case for case in _cases("getDatasetDataSQLRun")}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def seed(served: ServedNode, tmp_path_factory: pytest.TempPathFactory) -> Seed:
    seed = Seed(served, tmp_path_factory.mktemp("files"), _DATASETS)
    seed.play()
    return seed


@pytest.mark.parametrize("name", sorted(set(_CALLS) - set(_LATER)))
def test_a_call_is_answered_as_kamu_answered_it(served: ServedNode, seed: Seed, name: str) -> None:
    case, request = _CALLS[name], _CALLS[name]["request"]
    body = request.get("body")
    content = body if isinstance(body, str) or body is None else seed.filled(json.dumps(body))
    as_ = case["as"] or ""
    headers = {"content-type": request["contentType"]} if "contentType" in request else {}
    if as_.startswith("token:"):
        headers["authorization"] = f"Bearer {as_.removeprefix('token:')}"
    caller = None if as_ == "" or as_.startswith("token:") else as_

    answer = served.request(request["method"], request["path"], as_=caller, content=content, headers=headers)

    assert answer.status_code == _DEFECTS.get(name, case["httpStatus"]), answer.text
    if name in _DEFECTS:
        assert answer.json()["message"]
        return
    assert answer.headers.get("content-type") == case["contentType"]
    if name in _OTHER_WORDS:
        assert answer.text.startswith(case["response"].partition(" at line")[0])
    elif isinstance(case["response"], str):
        assert answer.text == case["response"]
    else:
        assert shown(answer.json()) == shown(json.loads(seed.filled(json.dumps(case["response"]))))


@pytest.mark.parametrize("name", sorted(_QUERIES))
def test_a_query_is_answered_as_kamu_answered_it(served: ServedNode, seed: Seed, name: str) -> None:
    case = _QUERIES[name]
    form = {**case["variables"], "schemaFormat": "OdfJson", "include": ["Input"]}

    answer = served.request("POST", "/query", as_=case["as"], json=form)

    told = case["response"]["data"]["data"].get("query")
    if told is None or told["__typename"] != "DataQueryResultSuccess":
        assert answer.status_code == 400
        assert told is None or answer.json()["message"] == told["errorMessage"]
        return
    said, output = answer.json()["input"], answer.json()["output"]
    assert shown(output["data"]) == shown(json.loads(told["data"]["content"]))
    assert shown(output["schema"]) == shown(json.loads(told["schema"]["content"]))
    read = [{name: each[name] for name in ("id", "alias", "blockHash")} for each in told["datasets"]]
    assert shown(said["datasets"]) == shown(json.loads(seed.filled(json.dumps(read))))
    assert said["limit"] == told["limit"]


def test_nothing_is_left_out_without_a_reason() -> None:
    assert set(_LATER) | set(_DEFECTS) | _OTHER_WORDS <= set(_CALLS)
    assert len(_CALLS) == len(_cases("rest"))


def shown(value: Json) -> str:
    """1 is not 1.0; the time of the recording stands for any."""
    return _NOW.sub("now", json.dumps(value, ensure_ascii=False, sort_keys=True))
