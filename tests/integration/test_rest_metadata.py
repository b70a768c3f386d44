"""`GET /{account}/{dataset}/metadata`: what was asked for and exists, in every format of schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.served_node import ServedNode, serving

# Of the dataset whose schemas kamu 0.265.0 was asked for in every format.
_MANIFEST = """
kind: DatasetSnapshot
version: 1
content:
  name: alice/log
  kind: Root
  metadata:
  - kind: SetInfo
    description: Water levels
    keywords: [water, level]
  - kind: SetLicense
    shortName: CC0
    name: Creative Commons Zero
    spdxId: CC0-1.0
    websiteUrl: https://creativecommons.org/publicdomain/zero/1.0/
  - kind: SetAttachments
    attachments:
      kind: Embedded
      items:
      - path: README.md
        content: Hello.
  - kind: SetVocab
    eventTimeColumn: at
  - kind: AddPushSource
    sourceName: default
    read:
      kind: NdJson
      ddlSchema: [at TIMESTAMP NOT NULL, station STRING, level BIGINT]
    merge:
      kind: Append
"""
_BARE = """
kind: DatasetSnapshot
version: 1
content:
  name: alice/bare
  kind: Root
  metadata: []
"""
_PARQUET = (
    "message arrow_schema {\n  REQUIRED INT64 offset;\n  REQUIRED INT32 op;\n"
    "  REQUIRED INT64 system_time (TIMESTAMP(MILLIS,true));\n  REQUIRED INT64 at (TIMESTAMP(MILLIS,true));\n"
    "  OPTIONAL BYTE_ARRAY station (STRING);\n  OPTIONAL INT64 level;\n}\n"
)
_PARQUET_JSON = (
    '{"fields":[{"name":"offset","repetition":"REQUIRED","type":"INT64"},'
    '{"name":"op","repetition":"REQUIRED","type":"INT32"},'
    '{"logicalType":"TIMESTAMP(MILLIS,true)","name":"system_time","repetition":"REQUIRED","type":"INT64"},'
    '{"logicalType":"TIMESTAMP(MILLIS,true)","name":"at","repetition":"REQUIRED","type":"INT64"},'
    '{"logicalType":"STRING","name":"station","repetition":"OPTIONAL","type":"BYTE_ARRAY"},'
    '{"name":"level","repetition":"OPTIONAL","type":"INT64"}],"name":"arrow_schema","type":"struct"}'
)
_MOMENT = '"type":{"kind":"Timestamp","timezone":"UTC","unit":"Millisecond"}'
_ODF_JSON = (
    '{"fields":[{"name":"offset","type":{"kind":"Int64"}},{"name":"op","type":{"kind":"Int32"}},'
    f'{{"name":"system_time",{_MOMENT}}},{{"name":"at",{_MOMENT}}},'
    '{"name":"station","type":{"inner":{"kind":"String"},"kind":"Option"}},'
    '{"name":"level","type":{"inner":{"kind":"Int64"},"kind":"Option"}}]}'
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        node.create(_MANIFEST)
        node.create(_BARE)
        assert node.push("alice/log", b'{"at":"2050-01-01T00:00:00Z","station":"n","level":1}').is_success
        yield node


def output(served: ServedNode, query: str, dataset: str = "alice/log") -> Any:
    answer = served.request("GET", f"/{dataset}/metadata{query}", as_=None)
    assert answer.status_code == 200, answer.text
    return answer.json()["output"]


def test_the_seed_is_told_when_nothing_is_asked_for(served: ServedNode) -> None:
    (seed,) = output(served, "").items()

    name, told = seed
    assert (name, told["datasetKind"]) == ("seed", "Root")
    assert served.request("GET", f"/datasets/{told['datasetId']}").json()["datasetName"] == "log"


def test_everything_can_be_asked_for_at_once(served: ServedNode) -> None:
    told = output(served, "?include=vocab,seed,schema,refs,license,info,attachments")

    assert list(told) == ["attachments", "info", "license", "refs", "schema", "schemaFormat", "seed", "vocab"]
    assert told["attachments"] == {
        "attachments": {"kind": "Embedded", "items": [{"path": "README.md", "content": "Hello."}]}
    }
    assert told["info"] == {"description": "Water levels", "keywords": ["water", "level"]}
    assert told["license"]["spdxId"] == "CC0-1.0"
    assert told["refs"] == [{"name": "head", "blockHash": str(served.head("alice/log"))}]
    assert told["schemaFormat"] == "ArrowJson"
    assert told["vocab"] == {
        "offsetColumn": "offset",
        "operationTypeColumn": "op",
        "systemTimeColumn": "system_time",
        "eventTimeColumn": "at",
    }


def test_what_does_not_exist_is_left_out(served: ServedNode) -> None:
    told = output(served, "?include=attachments,info,license,refs,schema,seed,vocab", "alice/bare")

    assert list(told) == ["refs", "seed", "vocab"]


@pytest.mark.parametrize(
    ("schema_format", "text"),
    [
        ("Parquet", json.dumps(_PARQUET)),
        ("ParquetJson", _PARQUET_JSON),
        ("OdfJson", _ODF_JSON),
        ("odf-json", _ODF_JSON),
    ],
)
def test_schemas_are_written_as_kamu_writes_them(served: ServedNode, schema_format: str, text: str) -> None:
    answer = served.request("GET", f"/alice/log/metadata?include=schema&schemaFormat={schema_format}")

    assert f'{{"output":{{"schema":{text},"schemaFormat":' in answer.text


@pytest.mark.parametrize("schema_format", ["ArrowJson", "OdfJson", "OdfYaml", "Parquet", "ParquetJson"])
def test_metadata_tail_and_query_tell_the_same_schema(served: ServedNode, schema_format: str) -> None:
    schema = output(served, f"?include=schema&schemaFormat={schema_format}")["schema"]
    tail = served.request("GET", f"/alice/log/tail?schemaFormat={schema_format}").json()
    query = {"query": 'select * from "alice/log"', "schemaFormat": schema_format}
    found = served.request("POST", "/query", json=query).json()["output"]

    assert tail["schema"] == schema
    assert found["schema"] == schema


def test_a_dataset_without_data_has_an_empty_schema(served: ServedNode) -> None:  # KA-06
    tail = served.request("GET", "/alice/bare/tail?schemaFormat=OdfJson").json()
    query = {"query": 'select * from "alice/bare"', "schemaFormat": "Parquet"}
    found = served.request("POST", "/query", json=query).json()["output"]

    assert (tail["data"], tail["schema"]) == ([], {"fields": []})
    assert (found["data"], found["schema"]) == ([], "message arrow_schema {\n}\n")


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/alice/log/metadata?include=seed,blocks", 400, "unknown variant `blocks`, expected one of `attachments`"),
        ("/alice/log/metadata?schemaFormat=Avro", 400, "unknown variant `Avro`, expected one of `ArrowJson`"),
        ("/alice/none/metadata", 404, ""),
    ],
)
def test_what_cannot_be_told_is_refused(served: ServedNode, path: str, status: int, told: str) -> None:
    answer = served.request("GET", path)

    assert (answer.status_code, told in answer.text) == (status, True), answer.text
