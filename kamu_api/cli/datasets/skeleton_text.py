"""Manifests to begin with, as text: comments say what may be changed. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kamu_api.cli.query.completion_words import quoted_where_needed
from kamu_assets.coordinator.ingest.guesses import GuessedSource
from kamu_assets.odf.source import ReadStepCsv

_PLAIN: Final = re.compile(r"[A-Za-z_](?:[\w./ ()<>-]*[\w)>])?")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SYSTEM: Final = {"offset": "offsetColumn", "op": "operationTypeColumn", "system_time": "systemTimeColumn"}
_EVENT_TIME: Final = "event_time"


@dataclass(frozen=True)
class InputTable:
    """What a derivative reads, as far as its columns are known."""

    name: str
    columns: tuple[str, ...] = ()
    event_time: str = _EVENT_TIME


def root_text(name: str, url: str, source: GuessedSource) -> str:
    """A root that polls a file like the sample."""
    return _manifest(name, "Root", [*_polling(url, source), *_vocabulary(source)])


def push_text(name: str) -> str:
    """A root that waits for data."""
    return _manifest(name, "Root", _PUSHED.splitlines())


def derivative_text(name: str, inputs: Sequence[InputTable]) -> str:
    """A dataset that is computed from others."""
    return _manifest(name, "Derivative", [*_transform(inputs)])


def yaml_scalar(text: str) -> str:
    """A text as YAML reads it back."""
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _manifest(name: str, kind: str, metadata: Sequence[str]) -> str:
    head = ["kind: DatasetSnapshot", "version: 1", "content:", f"  name: {yaml_scalar(name)}", f"  kind: {kind}"]
    return "\n".join([*head, "  metadata:", *(f"  {line}" if line else "" for line in metadata)]) + "\n"


def _polling(url: str, source: GuessedSource) -> Iterator[str]:
    yield "# `kamu-node pull` reads the source and takes what is new."
    yield "- kind: SetPollingSource"
    yield "  fetch:"
    yield "    kind: Url"
    yield "    # A file that this node can read, or https://…"
    yield f"    url: {yaml_scalar(url)}"
    yield "  read:"
    yield f"    kind: {source.read.kind}"
    if isinstance(source.read, ReadStepCsv):
        yield "    header: true"
        if source.read.separator:
            yield f"    separator: {json.dumps(source.read.separator)}"
    yield from _schema(source)
    yield from _merge(source)


def _schema(source: GuessedSource) -> Iterator[str]:
    ddl = source.read.ddl_schema
    if ddl is not None:
        if source.renamed:
            yield "    # The header gives some columns no name of their own: theirs are made up here, by their places."
        yield f"    # Guessed from {source.records:,} record(s), all of which it fits. NOT NULL may follow a type."
        yield "    ddlSchema:"
        yield from (f"    - {yaml_scalar(column)}" for column in ddl)
        return
    odd = [column.name for column in source.columns if column.type is None]
    reason = f": no word of SQL says the type of {', '.join(odd)}" if odd else ""
    yield f"    # The columns are those of the file{' '.join(reason.split())}"
    if isinstance(source.read, ReadStepCsv):
        yield "    inferSchema: true"


def _merge(source: GuessedSource) -> Iterator[str]:
    yield from (f"  # {line}" for line in (_MERGE_BY_KEY if source.key is not None else _MERGE_WITHOUT_KEY))
    yield "  merge:"
    if source.key is None:
        yield "    kind: Append"
    else:
        yield "    kind: Snapshot"
        yield "    primaryKey:"
        yield f"    - {yaml_scalar(source.key)}"


def _vocabulary(source: GuessedSource) -> Iterator[str]:
    names = {column.name for column in source.columns}
    taken = [system for system in _SYSTEM if system in names]
    event_time = source.event_time or (f"kamu_{_EVENT_TIME}" if _EVENT_TIME in names else None)
    if not taken and event_time in (None, _EVENT_TIME):
        return
    yield "# How the columns are called that every dataset has."
    yield "- kind: SetVocab"
    if event_time not in (None, _EVENT_TIME):
        yield "  # When it happened."
        yield f"  eventTimeColumn: {yaml_scalar(str(event_time))}"
    for system in taken:
        yield f"  # `{system}` is a column of the data."
        yield f"  {_SYSTEM[system]}: kamu_{system}"


def _transform(inputs: Sequence[InputTable]) -> Iterator[str]:
    yield "# Computed anew from what is new in the inputs: `kamu-node pull`, or a trigger."
    yield "- kind: SetTransform"
    yield "  inputs:"
    for table in inputs:
        yield f"  - datasetRef: {yaml_scalar(table.name)}"
    yield "  transform:"
    yield "    kind: Sql"
    yield "    # datafusion: row by row, in the SQL of DataFusion; flink: windows over event time and temporal joins."
    yield "    engine: datafusion"
    yield "    query: |"
    first = inputs[0]
    yield "      select"
    yield "        op,"
    columns = [_column(column, first.event_time) for column in (first.event_time, *first.columns)]
    yield from (
        f"        {column}{',' if place < len(columns) else ''}" for place, column in enumerate(columns, start=1)
    )
    yield f"      from {quoted_where_needed(first.name)}"


def _column(name: str, event_time: str) -> str:
    if name == event_time and name != _EVENT_TIME:
        return f"{quoted_where_needed(name)} as {_EVENT_TIME}"
    return quoted_where_needed(name)


_MERGE_BY_KEY: Final = (
    "Each fetch is the whole state: what differs from the one before is recorded, what is gone is retracted.",
    "Ledger, with the same primaryKey, if records are only ever added; Append, without a key, takes all.",
)
_MERGE_WITHOUT_KEY: Final = (
    "All records of each fetch are new. No single column is another one in each record: if some together are,",
    "Snapshot (each fetch is the whole state) or Ledger (records are only added) with a primaryKey do more.",
)
_PUSHED: Final = """# Data is pushed: `kamu-node ingest`, or POST /account/name/ingest.
- kind: AddPushSource
  sourceName: default
  read:
    # NdJson, Csv, Json, Parquet, GeoJson: pushes of another kind are converted to these columns.
    kind: NdJson
    ddlSchema:
    - event_time TIMESTAMP
    - city STRING NOT NULL
    - population BIGINT
  # Records whose key was seen before are left out. Append takes all; UpsertStream changes records by their key.
  merge:
    kind: Ledger
    primaryKey:
    - event_time
    - city"""
