"""Merge strategies: which rows are new, and in which order they are committed (ODF-FACTS 8.3).

Pure over frames: previous data comes as a frame of its key columns, the result has the columns of the input.
"""

from collections.abc import Sequence

import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.errors import MissingColumnError
from kamu_assets.coordinator.ingest.session import Bench, engine_failures, quoted

Keys = Sequence[DataFrame]


def check_key(schema: pa.Schema, key: Sequence[str], *, name: str) -> None:
    """Every key column must be in the data."""
    for column in key:
        if column not in schema.names:
            there = ", ".join(schema.names)
            raise MissingColumnError(f"{name}: primary key column `{column}` is not in the data; columns are: {there}")


def unseen(bench: Bench, frame: DataFrame, key: Sequence[str], previous: Keys) -> DataFrame:
    """Rows whose key is in none of the previous frames. Null equals nothing; equal keys inside the input all stay."""
    with engine_failures():
        for place, seen in enumerate(previous):
            new, old = f"__new_{place}", f"__old_{place}"
            bench.session.register_view(new, frame)
            bench.session.register_view(old, seen)
            same = " AND ".join(f"{new}.{quoted(column)} = {old}.{quoted(column)}" for column in key)
            frame = bench.session.sql(f"SELECT {new}.* FROM {new} LEFT ANTI JOIN {old} ON {same}")
    return frame


def in_commit_order(bench: Bench, frame: DataFrame, event_time: str) -> DataFrame:
    """By event time, those without one first; ties stay as they came, as far as the engine keeps them."""
    with engine_failures():
        bench.session.register_view("__merged", frame)
        return bench.session.sql(f"SELECT * FROM __merged ORDER BY {quoted(event_time)} ASC NULLS FIRST")
