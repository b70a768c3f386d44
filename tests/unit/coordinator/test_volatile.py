"""Which calls of a query give something else each time."""

import pytest

from kamu_assets.coordinator.verify.volatile import volatile_functions
from kamu_assets.odf.engine import SqlQueryStep, TransformSql


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("select random() from a", ["random()"]),
        ("select Now ( ), current_timestamp, NOW() from a", ["now()", "current_timestamp()"]),
        (
            "select current_date(), current_time, today(), uuid() from a",
            ["current_date()", "current_time()", "today()", "uuid()"],
        ),
        ("select now, a.random, t.uuid from a", []),
        ("select 'now()', \"random()\", 'it''s now()' /* uuid() */ from a -- today()", []),
        ("select my_random(1), known() from a", []),
    ],
)
def test_calls_are_told_from_names_and_texts(query: str, calls: list[str]) -> None:
    transform = TransformSql(engine="datafusion", queries=(SqlQueryStep(query=query),))

    assert volatile_functions(transform) == calls
