"""Manifests of datasets, each in a line or two. Parts are given as YAML in flow style: `{kind: Append}`."""

from __future__ import annotations

import json
from typing import Final

APPEND: Final = "{kind: Append}"
LEDGER: Final = "{kind: Ledger, primaryKey: [id]}"
SNAPSHOT: Final = "{kind: Snapshot, primaryKey: [id]}"
UPSERT: Final = "{kind: UpsertStream, primaryKey: [id]}"
CHANGELOG: Final = "{kind: ChangelogStream, primaryKey: [id]}"

# A root of CSV files; `source` is the event that has the `details`.
CITIES: Final = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
  - kind: {source}
    {details}
    read:
      kind: Csv
      header: true
      ddlSchema:
      - at TIMESTAMP
      - city STRING
      - population BIGINT
    merge:
      kind: Ledger
      primaryKey:
      - at
      - city
  - kind: SetVocab
    eventTimeColumn: at
"""


def a_manifest(name: str, kind: str, *events: str) -> str:
    """A dataset and the events that follow its seed."""
    content = f"{{name: {name}, kind: {kind}, metadata: [{', '.join(events)}]}}"
    return f"kind: DatasetSnapshot\nversion: 1\ncontent: {content}\n"


def pushed_root(name: str, read: str, *, merge: str = APPEND) -> str:
    """A root that takes pushes and has nothing to poll."""
    return a_manifest(name, "Root", push_source("default", read, merge=merge))


def polled_root(name: str, fetch: str, read: str, *, merge: str = APPEND, prepare: str = "[]") -> str:
    """A root that fetches."""
    return a_manifest(name, "Root", polling_source(fetch, read, merge=merge, prepare=prepare))


def derivative(
    name: str, query: str, *inputs: str, alias: str | None = None, engine: str = "datafusion", options: str = ""
) -> str:
    """What a query makes of other datasets."""
    return a_manifest(name, "Derivative", transform(query, *inputs, alias=alias, engine=engine, options=options))


def push_source(name: str, read: str, *, merge: str = APPEND) -> str:
    """One of those that a root may have."""
    return f"{{kind: AddPushSource, sourceName: {name}, read: {read}, merge: {merge}}}"


def polling_source(fetch: str, read: str, *, merge: str = APPEND, prepare: str = "[]") -> str:
    return f"{{kind: SetPollingSource, fetch: {fetch}, prepare: {prepare}, read: {read}, merge: {merge}}}"


def reading(*columns: str, kind: str = "NdJson", options: str = "") -> str:
    """How a source reads such columns, which are written as in DDL; without any, files say what they hold."""
    return _flow(f"kind: {kind}", options, f"ddlSchema: {json.dumps(columns)}" if columns else "")


def transform(query: str, *inputs: str, alias: str | None = None, engine: str = "datafusion", options: str = "") -> str:
    """A query, and the datasets that it calls by their names, or by `alias` when there is one."""
    read = ", ".join(f"{{datasetRef: {each}, alias: {alias or each.rpartition('/')[2]}}}" for each in inputs)
    does = _flow("kind: Sql", f"engine: {engine}", options, f"query: {json.dumps(query)}")
    return f"{{kind: SetTransform, inputs: [{read}], transform: {does}}}"


def _flow(*parts: str) -> str:
    return f"{{{', '.join(part for part in parts if part)}}}"
