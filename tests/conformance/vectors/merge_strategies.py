"""Which rows a merge strategy keeps, and in which order."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.merge import check_key, in_commit_order, unseen
from kamu_assets.coordinator.ingest.merge_keys import key_columns
from kamu_assets.coordinator.ingest.session import open_bench, stream
from kamu_assets.odf.data import OperationType
from kamu_assets.odf.source import MergeStrategy
from tests.conformance.difference import expect, expect_refused

STRATEGIES: TypeAdapter[MergeStrategy] = TypeAdapter(MergeStrategy)
Rows = list[dict[str, Any]]


def check(case: dict[str, Any]) -> None:
    if case.get("expect_error"):
        expect_refused("merge", lambda: _merged(case))
        return
    ours, theirs = _merged(case), case["expected"]
    order = case["event_time_column"]
    expect("commit order", ours=[row[order] for row in ours], theirs=[row[order] for row in theirs])
    # Rows of one event time may come in any order.
    expect("rows", ours=sorted(ours, key=repr), theirs=sorted(theirs, key=repr))


def _merged(case: dict[str, Any]) -> Rows:
    """The strategies that add rows only: the operation of each is written later, and always the same."""
    strategy = STRATEGIES.validate_python(case["strategy"])
    key = key_columns(strategy)
    schema = _schema(case["input_columns"], [*case["new"], *(case["prev"] or [])])
    with tempfile.TemporaryDirectory() as scratch:
        bench = open_bench(IngestLimits(), Path(scratch))
        frame = bench.session.from_arrow(_table(case["new"], schema), "new")
        check_key(schema, key, name=case["id"])
        previous = [] if case["prev"] is None or not key else [_table(case["prev"], schema).select(list(key))]
        frames = [bench.session.from_arrow(table, f"previous_{place}") for place, table in enumerate(previous)]
        kept = in_commit_order(bench, unseen(bench, frame, key, frames), case["event_time_column"])
        rows = [row for batch in stream(kept) for row in batch.to_pylist()]
    return [{"op": int(OperationType.APPEND), **row} for row in rows]


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _schema(columns: list[str], rows: Rows) -> pa.Schema:
    types = {int: pa.int64(), str: pa.string(), float: pa.float64(), bool: pa.bool_(), type(None): pa.string()}
    known = {name: next((row[name] for row in rows if row.get(name) is not None), None) for name in columns}
    return pa.schema([(name, types[type(value)]) for name, value in known.items()])
