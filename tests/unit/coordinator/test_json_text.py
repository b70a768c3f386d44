"""Arrays inside JSON documents as lines."""

import json
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadInputError, IngestError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_text import array_to_ndjson


def lines(document: str, folder: Path, sub_path: str | None = None) -> list[str]:
    (folder / "in").write_text(document, newline="")
    array_to_ndjson(folder / "in", sub_path, target=folder / "out", name="in", limits=IngestLimits())
    return (folder / "out").read_text().split("\n")[:-1]


@pytest.mark.parametrize(
    ("document", "sub_path", "expected"),
    [
        ("[]", None, []),
        ('[{"a": 1.10},\r\n {"a":\n 2}]', None, ['{"a": 1.10}', '{"a":  2}']),
        ('{"x": {"y": [1, "z"]}, "more": [[1]]}', "x.y", ["1", '"z"']),
        ('{"before": {"x": 1}, "x": [100000000000000000000000]}', "x", ["100000000000000000000000"]),
    ],
)
def test_elements_are_copied_as_text(document: str, sub_path: str | None, expected: list[str], tmp_path: Path) -> None:
    assert lines(document, tmp_path, sub_path) == expected


@pytest.mark.parametrize(
    ("document", "sub_path", "words"),
    [
        ('{"a": 1}', None, "expected an array at the root"),
        ('{"a": 1}', "a", "expected an array at sub-path `a`"),
        ('{"a": 1}', "b", "sub-path `b` not found"),
        ("[1]", "b", "sub-path `b` not found"),
        ('{"a": {"b": 1}}', "a.c", "sub-path `a.c` not found"),
        ('{"a": [1],\n "a": [2]}', "a", "line 2: key `a` of sub-path `a` is there twice"),
        # What stands behind the array is read, too: a document that was cut off is no document.
        ('{"a": [1], "b": ', "a", "the file ends in the middle"),
        ('{"a": [1]} x', "a", "extra data"),
        ("[1, 2", None, "the file ends in the middle"),
    ],
)
def test_documents_are_refused_precisely(document: str, sub_path: str | None, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as refusal:
        lines(document, tmp_path, sub_path)

    assert words in str(refusal.value)


def test_a_long_text_outside_of_the_array_is_stepped_over(tmp_path: Path) -> None:
    document = json.dumps({"before": [["x" * 100] * 10_000] * 3, "rows": [1, 2]})

    assert lines(document, tmp_path, "rows") == ["1", "2"]


def test_a_key_may_be_anywhere_but_on_the_path(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="not found"):
        lines('{"other": {"rows": [1]}}', tmp_path, "rows")
