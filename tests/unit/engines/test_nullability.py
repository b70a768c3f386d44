"""Columns that upstream's engine calls nullable: what DataFusion 51 says of the same queries."""

import datafusion
import pyarrow as pa
import pytest

from kamu_assets.engines.datafusion.nullability import as_upstream

SCHEMA = pa.schema(
    [
        pa.field("s", pa.string(), nullable=False),
        pa.field("i", pa.int64(), nullable=False),
        pa.field("ts", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("maybe", pa.int64()),
    ]
)


def nullable(query: str) -> list[bool]:
    context = datafusion.SessionContext()
    rows = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in SCHEMA], schema=SCHEMA)
    context.register_record_batches("t", [[rows]])
    context.register_view("days", context.sql("select date_trunc('day', ts) as day, ts, s, i from t"))
    frame = context.sql(query)
    return [field.nullable for field in as_upstream(frame.schema(), frame.logical_plan())]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("select s, i + 1, ts, 1, maybe from t", [False, False, False, False, True]),
        ("select date_trunc('hour', ts), date_part('hour', ts), extract(year from ts) from t", [True, True, True]),
        ("select round(i * 1.5), nvl(s, 'x'), ifnull(i, 1), nvl2(s, i, i) from t", [True, True, True, True]),
        ("select strpos(s, 'x'), now(), coalesce(maybe, 1), maybe is null from t", [False, False, False, False]),
        ("select day, s from days", [True, False]),
        ("select d.day as x from days as d where d.i > 1 order by d.i limit 5", [True]),
        ("select cast(day as date), -round(1.5), day = ts, day is null from days", [True, True, True, False]),
        ("select case when i > 1 then day else ts end, case when day = ts then 1 else 2 end from days", [True, False]),
        ("select date_trunc('day', ts) as day, count(*) as n from t group by 1", [True, False]),
        ("select count(day), i from days group by i", [False, False]),
        ("select ts, s from t union all select day, s from days", [True, False]),
        ("select a.ts, b.day from t as a join days as b on a.i = b.i", [False, True]),
        ("with a as (select day from days) select day, row_number() over (order by day) from a", [True, False]),
        ("select distinct day from days", [True]),
    ],
)
def test_columns_are_nullable_as_upstream_says(query: str, found: list[bool]) -> None:
    assert nullable(query) == found


def test_depth_does_not_matter() -> None:
    sums = " + ".join(["i"] * 900)
    branches = " union all ".join(["select i from t"] * 300)

    assert nullable(f"select {sums} as x from t") == [False]
    assert nullable(f"{branches} union all select date_part('hour', day) from days") == [True]
