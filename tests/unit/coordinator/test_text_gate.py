import random
from itertools import pairwise
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect
from kamu_assets.coordinator.ingest.read.nesting import Nesting
from kamu_assets.coordinator.ingest.read.text_gate import check_csv, check_ndjson

MIB = 1 << 20
LIMITS = IngestLimits(max_record_bytes=2 * MIB, max_nesting=8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def csv(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    check_csv(path, CsvDialect(), name="data", limits=LIMITS)


def ndjson(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    check_ndjson(path, name="data", limits=LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a,b\n" * MIB,
        b'"a\nb",c\n' * (MIB // 2),
        b'5" pipe\n6" pipe\n7" pipe\n',
        b'say ""\n"' + b"x\n" * 1000 + b'"\n',
        b"x" * (MIB - 1) + "é".encode() + b"\n",
    ],
)
def test_honest_csv_passes(path: Path, text: bytes) -> None:
    csv(path, text)


def test_a_record_that_goes_on_for_ever_is_refused(path: Path) -> None:
    with pytest.raises((TooLargeError, BadInputError), match="line 2"):
        csv(path, b'a\n"' + b"x\n" * 3 * MIB)
    with pytest.raises(TooLargeError, match="line 2"):
        csv(path, b"a\n" + b"x" * 3 * MIB)


def test_places_are_told_across_chunks(path: Path) -> None:
    start = b"abc\n" * (MIB // 4 + 10)

    with pytest.raises(BadInputError, match=f"line {MIB // 4 + 11}: byte 0xff at byte {len(start) + 2}"):
        csv(path, start + b"x,\xff\n")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": [[[[[[[1]]]]]]]}\n' * 1000,
        b'{"a": "[[[[[[[[[[[[[[[["}\n' * 1000,
        b'{"a": "\\"[[[[[[[[[[["}\n',
        b"]]]]]]]]]]]]]]]]]]]\n",
    ],
)
def test_nesting_is_measured_outside_of_strings(path: Path, text: bytes) -> None:
    ndjson(path, text)


@pytest.mark.parametrize(
    "text", [b'{"a": ' * 9, b"[" * 100_000, b'{"a": 1}\n{"a": [[[[[[[[[]]]]]]]]]}', b'{"x": "]]]", "a": ' * 9]
)
def test_deep_nesting_is_refused(path: Path, text: bytes) -> None:
    with pytest.raises(TooLargeError, match="nested deeper than 8 levels"):
        ndjson(path, text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"x": "}", "a": ' * 9 + b"1" + b', "y": "{"}' * 9,
        b'{"x": "]]", "a": ' * 9 + b"1" + b', "y": "\\"{"}' * 9,
        b'{"a": "' + b"x" * MIB + b'", "b": [[[[[[[["' + b"y" * MIB + b'"]]]]]]]]}',
        b'{"a": [[[[[\n' + b"\n" * 2 * MIB + b"[[[[]]]]]]]]]}",
    ],
    ids=["brackets in strings cancel", "escaped quotes", "over parts", "over lines and parts"],
)
def test_deep_nesting_cannot_be_hidden(path: Path, text: bytes) -> None:
    with pytest.raises(TooLargeError, match="nested deeper than 8 levels"):
        ndjson(path, text)


def test_lines_are_told_where_nesting_goes_too_deep(path: Path) -> None:
    with pytest.raises(TooLargeError, match=f"line {MIB + 2}: nested"):
        ndjson(path, b"{}\n" * MIB + b'{"a": "\\"["}\n' + b"[" * 9)


@pytest.mark.parametrize("seed", range(200))
def test_nesting_is_followed_over_parts_cut_anywhere(seed: int) -> None:
    random.seed(seed)
    tokens = [b'"', b"\\", b'\\"', b"{", b"}", b"[", b"]", b"x", b"\n"]
    text = b"".join(random.choices(tokens, k=random.randint(1, 60)))
    cuts = sorted(random.choices(range(len(text) + 1), k=random.randint(0, 5)))
    nesting = Nesting()

    found = [nesting.add(text[start:end]) for start, end in pairwise([0, *cuts, len(text)])]

    assert max(found) == deepest(text)


def test_a_record_over_many_lines_is_limited_as_a_whole(path: Path) -> None:
    long = b'{"x": [' + b"1,\n" * (2 * MIB) + b"1]}\n"
    ndjson(path, b'{"x": [' + b"1,\n" * (MIB // 3) + b"1]}\n" + b'{"a": 1}\n' * MIB)

    with pytest.raises(TooLargeError, match="data, line 4: a record longer than 2097152 bytes"):
        ndjson(path, b'{"a":\n 1}\n{"a": 2}\n' + long)


def test_a_record_that_never_ends_is_told_by_what_is_wrong_with_it(path: Path) -> None:
    with pytest.raises(BadInputError, match="data, line 2, position 1: no JSON"):
        ndjson(path, b'{"a": 1\n' + b'{"a": [2]}\n' * MIB)


def deepest(text: bytes) -> int:
    """The same character by character; outside of strings only broken JSON has a backslash."""
    level = most = 0
    inside = escaped = False
    for character in text.decode():
        if escaped and character in '"\\':
            escaped = False
            continue
        escaped = False
        if character == "\\":
            escaped = True
        elif character == '"':
            inside = not inside
        elif character in "{[" and not inside:
            level += 1
        elif character in "}]" and not inside:
            level = max(level - 1, 0)
        most = max(most, level)
    return most


def test_long_lines_of_json_are_refused(path: Path) -> None:
    with pytest.raises(TooLargeError, match="line 3: longer than"):
        ndjson(path, b"{}\n{}\n" + b'{"a": "' + b"x" * 3 * MIB)
