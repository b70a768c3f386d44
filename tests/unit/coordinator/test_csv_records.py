from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, walk_csv


def records(text: bytes, folder: Path, dialect: CsvDialect | None = None) -> list[tuple[int, tuple[str, ...]]]:
    path = folder / "data.csv"
    path.write_bytes(text)
    walk = walk_csv(path, dialect or CsvDialect(), name="data.csv", limits=IngestLimits(max_record_bytes=1000))
    return [(record.line, record.fields) for record in walk]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"a,b", [(1, ("a", "b"))]),
        (b"\xef\xbb\xbfa\r\nb\r", [(1, ("a",)), (2, ("b",))]),
        (b"a\n\n\nb\n", [(1, ("a",)), (4, ("b",))]),
        (b'""\n', [(1, ("",))]),
        (b'"a\nb",c\nd,e\n', [(1, ("a\nb", "c")), (3, ("d", "e"))]),
        (b'"say ""hi""","back\\"slash"\n', [(1, ('say "hi"', 'back"slash'))]),
        (b'5" pipe,x\n', [(1, ('5" pipe', "x"))]),
        (b"plain\\n,\n", [(1, ("plain\\n", ""))]),
        (b'"a"b,c\n', [(1, ("ab", "c"))]),
    ],
)
def test_records_are_those_of_the_reader(
    text: bytes, expected: list[tuple[int, tuple[str, ...]]], tmp_path: Path
) -> None:
    assert records(text, tmp_path) == expected


def test_other_dialects(tmp_path: Path) -> None:
    dialect = CsvDialect(separator=";", quote="'", escape="^")

    assert records(b"'a;^'b';'c''d'\n", tmp_path, dialect) == [(1, ("a;'b", "c'd"))]


def test_an_unclosed_quote_is_blamed_on_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="line 2: unclosed quote"):
        records(b'a,b\nc,"d\ne,f\n', tmp_path)


def test_a_long_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="line 2: a field longer than 1000 bytes"):
        records(b"a\n" + b"x" * 2000, tmp_path)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=4), max_size=5))
def test_what_is_quoted_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    text = "".join(",".join(map(quoted, row)) + "\n" for row in rows)

    found = records(text.encode(), tmp_path_factory.mktemp("csv"))

    assert [list(fields) for _, fields in found] == rows


def quoted(field: str) -> str:
    return '"' + field.replace("\\", "\\\\").replace('"', '""') + '"'
