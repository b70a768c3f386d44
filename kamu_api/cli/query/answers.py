"""Questions from the command line and how their answers are printed."""

import sys
from pathlib import Path
from typing import Any, Final

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.output import cell_text, print_csv, print_json, print_rows, remark
from kamu_assets.errors import InvalidError
from kamu_assets.query.model import QueryResponse

FORMATS: Final = ("table", "csv", "json", "json-soa", "json-aoa", "ndjson", "parquet", "markdown")
# Rows of a table that is a text, too: numbers that JSON does not have can be shown.
_FOR_PEOPLE: Final = ("table", "csv", "markdown")
_FILES_ONLY: Final = ("parquet",)


def known_format(text: str, *, as_json: bool, without: tuple[str, ...] = ()) -> str:
    """How to print; told before a long query rather than after it."""
    known = [form for form in FORMATS if form not in without]
    if text not in known:
        raise MisuseError(f"unknown format {text!r}; there are {', '.join(known)}")
    return "json" if as_json else text


def printable_format(text: str, *, as_json: bool) -> str:
    """The same where no file can be written."""
    return known_format(text, as_json=as_json, without=_FILES_ONLY)


def is_for_people(form: str) -> bool:
    """Whether numbers that JSON does not have can be shown."""
    return form in _FOR_PEOPLE


def input_text() -> str:
    """What standard input asks."""
    return _decoded(sys.stdin.buffer.read(), "standard input")


def file_text(path: Path) -> str:
    """What a file asks."""
    return _decoded(path.read_bytes(), str(path)).removeprefix("\ufeff")


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"{name} is not UTF-8: byte {error.start}") from error


def print_answer(answer: QueryResponse, form: str) -> None:
    """Rows (as arrays) in one of `FORMATS`."""
    names = list(answer.columns)
    rows: list[list[Any]] = answer.rows()
    match form:
        case "csv":
            print_csv(names, rows)
        case "markdown":
            _print_markdown(names, rows)
        case "json-aoa":
            print_json(rows)
        case "json-soa":
            print_json({name: [row[place] for row in rows] for place, name in enumerate(names)})
        case _:
            _print_structs(names, rows, form)


def tell_if_cut(answer: QueryResponse) -> None:
    """A word on standard error when there may be more rows than were printed."""
    if answer.num_records and answer.num_records == answer.limit:
        remark(f"{answer.limit:,} rows; --limit gives more, if there are any")


def _print_structs(names: list[str], rows: list[list[Any]], form: str) -> None:
    structs = [dict(zip(names, row, strict=True)) for row in rows]
    match form:
        case "json":
            print_json(structs)
        case "ndjson":
            for struct in structs:
                print_json(struct)
        case _ if names:
            print_rows(structs, columns=names)
            if not structs:
                remark("no rows")
        case _:
            remark("no rows and no columns yet")


def _print_markdown(names: list[str], rows: list[list[Any]]) -> None:
    """A table as GitHub's Markdown has it."""
    lines = [names, ["---"] * len(names), *([_markdown_cell(value) for value in row] for row in rows)]
    for line in lines:
        print(f"| {' | '.join(line)} |")


def _markdown_cell(value: Any) -> str:
    text = cell_text(value).replace("\\[", "[")
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", "").replace("\n", "<br>")
