"""JSON in windows: whatever the window, values, texts and lines are those of the whole."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.coordinator.ingest.errors import BadInputError, IngestError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read import json_scanner
from kamu_assets.coordinator.ingest.read.json_scanner import JsonText, JsonValue, json_values

LIMITS = IngestLimits(max_record_bytes=1000, max_nesting=8)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def text(content: str, limits: IngestLimits = LIMITS) -> JsonText:
    return JsonText(io.StringIO(content, newline=""), name="data", limits=limits)


def read_array(cut: JsonText) -> list[JsonValue]:
    found = [cut.value() for _ in cut.elements()]
    cut.end()
    return found


@pytest.fixture(params=[1, 3, 1 << 20])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(json_scanner, "_WINDOW", request.param)
    size: int = request.param
    return size


@given(
    values=st.lists(VALUES, max_size=4), indent=st.sampled_from([None, 1]), window=st.sampled_from([1, 2, 7, 1 << 20])
)
def test_elements_are_those_of_the_document(values: list[Any], indent: int | None, window: int) -> None:
    document = json.dumps(values, indent=indent, ensure_ascii=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scanner, "_WINDOW", window)
        cut, skipped = text(document, IngestLimits()), text(document, IngestLimits())

        found = read_array(cut)
        skipped.skip()
        skipped.end()

    assert [one.value for one in found] == values
    assert [json.loads(one.text) for one in found] == values
    assert cut.line == skipped.line == document.count("\n") + 1


@pytest.mark.usefixtures("window")
def test_values_know_their_lines() -> None:
    found = list(json_values(text('{"a":\n1}\n\n 2.5e1\r\n"x"')))

    assert [(one.line, one.value) for one in found] == [(1, {"a": 1}), (4, 25.0), (5, "x")]


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1,\n2", "line 2: the file ends in the middle"),
        ('[1,\n{"a": tru}]', "line 2, position 7: no JSON"),
        ("[1 2]", "line 1, position 4: no JSON: expected ',' or ']'"),
        ("[1] 2", "line 1, position 5: no JSON: extra data"),
        ("[NaN]", "position 2: no JSON: NaN is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ('["a\nb"]', "line 1, position 4: no JSON: Invalid control character"),
        ("[,]", "line 1, position 2"),
        ("", "the file ends"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(content: str, words: str) -> None:
    with pytest.raises(BadInputError) as refusal:
        read_array(text(content))

    assert words in str(refusal.value)


def test_keys_are_strings() -> None:
    cut = text("{1: 2}")

    with pytest.raises(BadInputError, match="expected a key"):
        next(cut.members())


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('\n"' + "x" * 5000 + '"', "line 2: a value longer than 1000 bytes"),
        ("[" * 50 + "]" * 50, "line 1: nested deeper than 8 levels"),
        ("[" * 100_000, "nested deeper than 8 levels|longer than 1000 bytes"),
        ("9" * 5000, "a number of thousands of digits|longer than"),
    ],
)
def test_a_value_is_limited(content: str, words: str) -> None:
    with pytest.raises(TooLargeError, match=words):
        list(json_values(text(content)))


@pytest.mark.usefixtures("window")
def test_stepping_over_is_not_limited_in_length() -> None:
    cut = text("[" + ",".join(["[1, 2, 3]"] * 1000) + "]")

    cut.skip()
    cut.end()

    assert cut.peek() == ""


@pytest.mark.usefixtures("window")
def test_stepping_over_looks_at_everything() -> None:
    cut = text('{"a": [1, {"b": [[1, 2], [3}]}]}')

    with pytest.raises(IngestError, match="no JSON"):
        cut.skip()
