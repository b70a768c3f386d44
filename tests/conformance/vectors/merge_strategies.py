"""Which rows a merge strategy keeps or makes, and in which order."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from kamu_assets.coordinator.ingest.event_runs import sorted_by_time
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.merge.keys import check_columns
from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back
from kamu_assets.coordinator.ingest.merge.strategies import Merge
from kamu_assets.coordinator.ingest.session import Bench, open_bench
from kamu_assets.coordinator.ingest.sidecars.history import History, open_history
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.seen import SeenKeys
from kamu_assets.coordinator.ingest.sidecars.state import LatestState
from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.odf.data import DatasetVocabulary, OperationType
from kamu_assets.odf.source import MergeStrategy
from tests.conformance.difference import expect, expect_refused

STRATEGIES: TypeAdapter[MergeStrategy] = TypeAdapter(MergeStrategy)
Rows = list[dict[str, Any]]


def check(case: dict[str, Any]) -> None:
    if case["strategy"]["kind"] == "Project":
        _check_state(case)
        return
    if case.get("expect_error"):
        expect_refused("merge", lambda: _merged(case))
        return
    ours, theirs = _merged(case), case["expected"]
    order = _sort_columns(case)
    expect("commit order", ours=_only(ours, order), theirs=_only(theirs, order))
    # Rows that are equal in that may come in any order.
    expect("rows", ours=sorted(ours, key=repr), theirs=sorted(theirs, key=repr))


def _check_state(case: dict[str, Any]) -> None:
    """The current rows of a changelog; that they came by a correction is not kept."""
    with tempfile.TemporaryDirectory() as scratch:
        bench = open_bench(IngestLimits(), Path(scratch))
        columns = ["year", "city", "population"]
        history = _history(bench, case, columns, tuple(case["strategy"]["primaryKey"]), Contents.STATE)
        ours = [row for batch in LatestState(history).not_found() for row in batch.to_pylist()] if history else []
    theirs = [{name: row[name] for name in columns} for row in case["expected_unordered"]]
    expect("state", ours=sorted(ours, key=repr), theirs=sorted(theirs, key=repr))


def _merged(case: dict[str, Any]) -> Rows:
    strategy = STRATEGIES.validate_python(case["strategy"])
    vocab = DatasetVocabulary(event_time_column=case["event_time_column"])
    schema = _schema(case["input_columns"], [*case["new"], *(case["prev"] or [])])
    check_columns(schema, strategy, vocab, name=case["id"])
    with tempfile.TemporaryDirectory() as scratch:
        bench = open_bench(IngestLimits(), Path(scratch))
        contents = looks_back(strategy)
        history = _history(bench, case, schema.names, key_columns(strategy), contents) if contents else None
        seen = SeenKeys(history) if history else None
        merge = Merge(bench, strategy, vocab=vocab, history=history, seen=seen, name=case["id"])
        frame = bench.session.from_arrow(_table(case["new"], schema), "new")
        batches, memory = merge.rows(frame), bench.limits.sort_memory_bytes
        if merge.keeps_order:
            time = vocab.event_time_column
            batches = sorted_by_time(batches, time, scratch=bench.scratch, memory_bytes=memory)
        rows = [row for batch in batches for row in batch.to_pylist()]
    return [{"op": int(OperationType.APPEND), **row} for row in rows]


def _history(
    bench: Bench, case: dict[str, Any], columns: list[str], key: tuple[str, ...], contents: Contents
) -> History | None:
    """Previous rows as a slice, read as slices are."""
    if not case["prev"]:
        return None
    columns = ["offset", "op", *(column for column in columns if column != "op")]
    rows = [{"op": int(OperationType.APPEND), **row} for row in case["prev"]]
    schema = _schema(columns, [*rows, *case.get("new", [])])
    path = bench.scratch / "slice"
    pq.write_table(_table(rows, schema), path)
    vocab = DatasetVocabulary(event_time_column=case.get("event_time_column", "year"))
    return open_history(bench, Layout(contents, key, schema, vocab), [str(path)], None)


def _sort_columns(case: dict[str, Any]) -> list[str]:
    if case["strategy"]["kind"] in ("Append", "Ledger"):
        return [case["event_time_column"]]
    return [*case["strategy"]["primaryKey"], "op"]


def _only(rows: Rows, columns: list[str]) -> list[list[Any]]:
    return [[row[column] for column in columns] for row in rows]


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _schema(columns: list[str], rows: Rows) -> pa.Schema:
    types = {int: pa.int64(), str: pa.string(), float: pa.float64(), bool: pa.bool_(), type(None): pa.string()}
    known = {name: next((row[name] for row in rows if row.get(name) is not None), None) for name in columns}
    return pa.schema([(name, types[type(value)]) for name, value in known.items()])
