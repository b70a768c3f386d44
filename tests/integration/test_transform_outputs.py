"""Columns that queries give: what a slice can hold is committed under its type, the rest is an ordinary error."""

from pathlib import Path

import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.odf import data
from kamu_assets.odf.dataset import DatasetKind
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.idle_derivative import reading
from tests.support.inline_engine import InlineEngine


def computed(heart: Heart, home: Path, query: str) -> DatasetEntry:
    root = heart.dataset("readings")
    heart.add_data(root.id)
    derivative = heart.dataset("copy", reading(str(root.id), query), kind=DatasetKind.DERIVATIVE)
    a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()}).pull(ADMIN, derivative.id)
    return derivative


def types(heart: Heart, dataset: DatasetEntry) -> dict[str, object]:
    event = heart.chains.state(dataset.id).schema
    assert event is not None
    assert event.schema_ is not None
    return {field.name: field.type for field in event.schema_.fields}


# kamu's engine dies, kamu panics, or either says so, for each of these.
NOT_STORABLE = {
    "interval": "interval '1 day'",
    "dictionary": "arrow_cast('x', 'Dictionary(Int32, Utf8)')",
    "duration": "arrow_cast(1, 'Duration(Second)')",
    "null": "null",
    "map": "map(['a'], [1])",
    "list of struct": "make_array(named_struct('a', 1))",
}


@pytest.mark.parametrize("expression", NOT_STORABLE.values(), ids=NOT_STORABLE.keys())
def test_what_a_slice_cannot_hold_commits_nothing(heart: Heart, tmp_path: Path, expression: str) -> None:
    with pytest.raises(InvalidError, match="`x`"):
        computed(heart, tmp_path, f"select event_time, {expression} as x from a")

    (derivative,) = (one for one in heart.datasets.list(ADMIN) if one.kind is DatasetKind.DERIVATIVE)
    assert heart.chains.state(derivative.id).schema is None


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ('1 as "a\0b"', r"invalid query: the name 'a\\x00b' of a column .* zero byte \(NUL\)"),
        ("named_struct('a\0b', 1) as x", r"the name 'a\\x00b' of a column or of a part"),
        ('1 as x, 2 as ""', "kamu/copy: a column of the query has an empty name; name it with AS"),
    ],
    ids=["zero byte", "zero byte inside", "empty"],
)
def test_names_that_no_column_may_have_commit_nothing(heart: Heart, tmp_path: Path, columns: str, words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        computed(heart, tmp_path, f"select event_time, {columns} from a")

    (derivative,) = (one for one in heart.datasets.list(ADMIN) if one.kind is DatasetKind.DERIVATIVE)
    assert heart.chains.state(derivative.id).schema is None


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("arrow_cast('10:00:00', 'Time32(Second)')", data.TimeType(unit=data.TimeUnit.SECOND)),
        ("arrow_cast('abc', 'Binary')", data.BinaryType()),
        ("arrow_cast('x', 'LargeUtf8')", data.StringType()),
        ("cast(1.5 as decimal(10, 2))", data.DecimalType(precision=10, scale=2)),
        (
            "arrow_cast(event_time, 'Timestamp(Second, None)')",
            data.TimestampType(unit=data.TimeUnit.MILLISECOND, timezone="UTC"),
        ),
    ],
)
def test_what_a_slice_can_hold_has_its_type(heart: Heart, tmp_path: Path, expression: str, found: object) -> None:
    derivative = computed(heart, tmp_path, f"select event_time, {expression} as x from a")

    assert types(heart, derivative)["x"] == found


@pytest.mark.parametrize("kind", ["UInt8", "Int8", "UInt16", "Int16", "UInt32", "Int32"])
def test_operations_of_any_small_integer_become_32_bits(heart: Heart, tmp_path: Path, kind: str) -> None:
    derivative = computed(heart, tmp_path, f"select arrow_cast(1, '{kind}') as op, event_time from a")

    assert types(heart, derivative)["op"] == data.Int32Type()
