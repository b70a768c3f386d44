import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.canonical_json import JsonTooDeepError, canonical_json
from tests.unit.odf.vectors import cases

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("case", cases("canonical_json"))
def test_the_text_is_that_of_upstream(case: dict[str, Any]) -> None:
    assert canonical_json(json.loads(case["input_json"])).decode() == case["expected"]


@given(VALUES)
def test_the_text_reads_back_as_the_same_value_of_the_same_types(value: Any) -> None:
    assert repr(json.loads(canonical_json(value))) == repr(reordered(value))


@given(VALUES)
def test_the_text_of_what_was_read_back_is_the_same(value: Any) -> None:
    text = canonical_json(value)

    assert canonical_json(json.loads(text)) == text


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in sorted(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5e-324, "5E-324"),
        (123456.0, "1.23456E5"),
        (100.0, "1E2"),
        (2**64, "18446744073709551616"),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        ("\x7f\x00é😀", r'"\u007f\u0000\u00e9\ud83d\ude00"'),
        ({"é": 1, "z": 2, "😀": 3, "\uffff": 4}, r'{"z":2,"\u00e9":1,"\uffff":4,"\ud83d\ude00":3}'),
    ],
)
def test_the_corners_have_one_spelling(value: Any, text: str) -> None:
    assert canonical_json(value).decode() == text


def test_what_is_no_json_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="bytes is no JSON value"):
        canonical_json([b""])  # type: ignore[list-item] # what is tested


def test_endless_nesting_is_refused() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]

    with pytest.raises(JsonTooDeepError):
        canonical_json(value)
