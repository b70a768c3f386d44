"""Trials of messy CSV: nothing is changed or lost silently; what is refused is refused with its place.

Where a trial asks for something else than what was recorded of kamu, the recording wins: declared encodings other than
`utf8` are refused (CS-09), rows without an event time get that of their source (KD-02).
"""

from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    IncompatibleSchemaError,
    IngestError,
    TypeMismatchError,
    UnsupportedOptionError,
)
from kamu_assets.odf.data import Int64Type, StringType, TimestampType
from kamu_assets.odf.source import ReadStepCsv
from tests.support.pushed import NewRoot, columns

FREE = ReadStepCsv(header=True)
GUESSED = ReadStepCsv(header=True, infer_schema=True)
AB = ReadStepCsv(header=True, schema_=columns(a=Int64Type(), b=StringType()))


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (FREE, b"id,v,v\n1,2,3\n", "two columns are named `v`"),
        (FREE, b"a,a,a\n1,2,3\n", "two columns are named `a`"),
        (GUESSED, b"id,v,v\n1,2,3\n", "two columns are named `v`"),
    ],
)
def test_same_header_twice_is_refused(read: ReadStepCsv, text: bytes, words: str, root: NewRoot) -> None:  # CS-01
    with pytest.raises(DuplicateColumnError, match=words):
        root(read).push(text)


def test_columns_without_a_name_are_called_by_their_place(root: NewRoot) -> None:  # CS-01, CS-13
    dataset = root(FREE)

    dataset.push(b"a,,\n1,2,3\n")

    assert dataset.rows() == [{"a": "1", "column_2": "2", "column_3": "3"}]


def test_under_a_schema_the_header_names_nothing(root: NewRoot) -> None:  # CS-01
    dataset = root(AB)

    dataset.push(b"v,v\n1,x\n")

    assert dataset.rows() == [{"a": 1, "b": "x"}]


def test_quoted_line_breaks_are_read_whatever_the_size(root: NewRoot, tmp_path: Path) -> None:  # CS-02
    count = 400_000
    with (tmp_path / "data").open("w", newline="") as file:
        file.write("a,b\n")
        for n in range(count):
            file.write(f'{n},"line {n}\nnext, ""quoted"" {"x" * 60}"\n' if n % 10 == 0 else f"{n},{'y' * 90}\n")
    dataset = root(AB)

    assert (tmp_path / "data").stat().st_size > 38_000_000
    assert dataset.push(tmp_path / "data").records == count
    rows = dataset.rows()
    assert [row["a"] for row in rows] == list(range(count))
    assert rows[399_990]["b"] == f'line 399990\nnext, "quoted" {"x" * 60}'


@pytest.mark.parametrize("read", [FREE, GUESSED])
def test_an_escape_counts_when_guessing_as_well(read: ReadStepCsv, root: NewRoot) -> None:  # CS-03
    dataset = root(read.model_copy(update={"escape": "\\"}))

    dataset.push(b'a,b,c\n1,"x\\",y",2\n')

    (row,) = dataset.rows()
    assert list(row) == ["a", "b", "c"]
    assert row["b"] == 'x",y'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a,b\n" + b"1,x\n" * 1_500 + b"1,x,y\n", "line 1502: expected 2 fields, found 3"),
        (b"a,b\n" + b"1,x\n" * 9 + b"1\n" + b"1,x\n" * 2_000, "line 11: expected 2 fields, found 1"),
    ],
)
@pytest.mark.parametrize("read", [FREE, GUESSED, AB])
def test_a_row_of_other_length_is_told_with_its_line(read: ReadStepCsv, text: bytes, words: str, root: NewRoot) -> None:
    """CS-04."""
    with pytest.raises(BadInputError, match=words):
        root(read).push(text)


def test_guessed_columns_may_be_null(root: NewRoot) -> None:  # CS-07
    dataset = root(GUESSED)

    dataset.push(b"a,b\n" + b"1,x\n" * 1_200 + b',""\n')

    assert dataset.rows()[-1] == {"a": None, "b": None}


def test_a_guess_that_a_later_row_refutes_is_refused_with_the_line(root: NewRoot) -> None:  # CS-07
    with pytest.raises(TypeMismatchError, match=r'line 1202, column `a`: "12.5" is not a valid BIGINT; correct it, or'):
        root(GUESSED).push(b"a\n" + b"1\n" * 1_200 + b"12.5\n")


@pytest.mark.parametrize("header", [b"id,name", b'"id","name"'])
def test_a_byte_order_mark_is_no_part_of_a_name(header: bytes, root: NewRoot) -> None:  # CS-08
    dataset = root(FREE)

    dataset.push(header + b"\n1,a\n")
    dataset.push(b"\xef\xbb\xbf" + header + b"\n2,b\n")

    assert dataset.rows() == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]


@pytest.mark.parametrize(
    ("encoding", "likely"), [("utf-16", "UTF-16LE"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE")]
)
def test_another_encoding_is_refused_by_its_likely_name(encoding: str, likely: str, root: NewRoot) -> None:  # CS-09
    with pytest.raises(BadInputError, match=likely):
        root(FREE).push("a,b\n1,2\n".encode(encoding))


def test_another_encoding_cannot_be_declared(root: NewRoot) -> None:  # CS-09; recorded: only utf8 is accepted
    with pytest.raises(UnsupportedOptionError, match=r"Csv.encoding: 'utf16'; supported: 'utf8'"):
        root(FREE.model_copy(update={"encoding": "utf16"})).push("a\n1\n".encode("utf-16"))


@pytest.mark.parametrize("text", [b"a,b\n1,2", b"a,b\r\n1,2", b'a,b\n1,"2"', b'"a","b"\r\n"1","2"'])
def test_the_last_line_need_not_end(text: bytes, root: NewRoot) -> None:  # CS-11
    dataset = root(FREE)

    dataset.push(text)

    assert dataset.rows() == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b"a,b,\n1,2,\n", [{"a": "1", "b": "2", "column_3": None}]),
        (b"a,b\n1,2\n\n\n\n", [{"a": "1", "b": "2"}]),
        (b"a,b\n\n1,2\n\n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
    ],
)
def test_blank_lines_and_trailing_commas(  # CS-13
    text: bytes, rows: list[dict[str, str | None]], root: NewRoot
) -> None:
    dataset = root(FREE)

    dataset.push(text)

    assert dataset.rows() == rows


def test_a_line_of_spaces_is_a_short_row(root: NewRoot) -> None:  # CS-13
    with pytest.raises(BadInputError, match="line 3: expected 2 fields, found 1"):
        root(FREE).push(b"a,b\n1,2\n   \n")


@pytest.mark.parametrize(
    "text",
    [b"d,e\n31-OCT-2023,1-1-1A\n1-1-1A,x\n", b"d,e\n1-1-1A,x\n31-OCT-2023,1-1-1A\n", b"d\n31-OCT-2023\n1-1-1A\n"],
)
def test_guesses_do_not_depend_on_order_or_neighbours(text: bytes, root: NewRoot) -> None:  # CS-16
    for _ in range(5):
        dataset = root(GUESSED)
        dataset.push(text)
        assert set(dataset.columns().values()) == {"string"}


def test_a_lone_quote_is_read_as_it_is(root: NewRoot) -> None:  # CS-17
    dataset = root(FREE)

    dataset.push(b'id,size\n1,5" pipe\n2,6" pipe\n')

    assert [row["size"] for row in dataset.rows()] == ['5" pipe', '6" pipe']


def test_a_quote_that_never_closes_is_told_where_it_opens(root: NewRoot) -> None:  # CS-17
    with pytest.raises(BadInputError, match="line 3: unclosed quote"):
        root(FREE).push(b'id,size\n1,2\n2,"3\n' + b"3,4\n" * 100_000)


@pytest.mark.parametrize("read", [FREE, GUESSED])
def test_postal_codes_keep_their_zeros(read: ReadStepCsv, root: NewRoot) -> None:  # CS-19
    dataset = root(read)

    dataset.push(b'zip,acct,n\n02134,"0010",1\n00501,"0100",2\n')

    rows = [(row["zip"], row["acct"]) for row in dataset.rows()]
    assert rows == [("02134", "0010"), ("00501", "0100")]


def test_zeros_that_show_up_late_are_not_dropped_either(root: NewRoot) -> None:  # CS-19
    with pytest.raises(TypeMismatchError, match=r'line 1202, column `zip`: "00501" would lose its zeros.*STRING'):
        root(GUESSED).push(b"zip\n" + b"12345\n" * 1_200 + b"00501\n")


@pytest.mark.parametrize(
    ("second", "error", "words"),
    [
        (b"a,b,c\n3,4,5\n", IncompatibleSchemaError, "column `c` .* is not in the dataset"),
        (b"a\n3\n", IncompatibleSchemaError, "column `b` .* is missing"),
    ],
)
def test_columns_do_not_come_and_go_in_silence(
    second: bytes, error: type[IngestError], words: str, root: NewRoot
) -> None:  # CS-22
    dataset = root(FREE)
    dataset.push(b"a,b\n1,2\n")

    with pytest.raises(error, match=words):
        dataset.push(second)

    assert dataset.rows() == [{"a": "1", "b": "2"}]


def test_the_same_file_gives_the_same_rows_each_time(root: NewRoot) -> None:  # CS-24
    read = ReadStepCsv(header=True, schema_=columns(t=TimestampType(), n=Int64Type()))
    text = b"t,n\n" + b"".join(b"2024-01-%02dT%02d:00:00Z,%d\n" % (n % 28 + 1, n % 24, n) for n in range(5_000))
    hashes = set()
    for _ in range(20):
        dataset = root(read)
        dataset.push(text)
        hashes.add(dataset.logical_hash())

    assert len(hashes) == 1
    assert all(row["t"] is not None for row in dataset.rows())


@pytest.mark.parametrize("media_type", ["text/csv", None])
def test_declared_types_hold(media_type: str | None, root: NewRoot) -> None:  # CS-28
    dataset = root(ReadStepCsv(header=True, schema_=columns(a=StringType(), b=StringType())))

    dataset.push(b'"a","b"\n1,"x"\n', media_type=media_type)

    assert dataset.rows() == [{"a": "1", "b": "x"}]


def test_a_header_is_no_row(root: NewRoot) -> None:  # KD-09
    dataset = root(ReadStepCsv())

    dataset.push(b"id,name\n1,a\n")

    assert dataset.rows() == [{"id": "1", "name": "a"}]
