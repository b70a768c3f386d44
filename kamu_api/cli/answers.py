"""Questions from the command line and how their answers are printed."""

import csv
import json
import sys
from typing import Any

from kamu_api.cli.output import number_text, print_json, print_rows, remark
from kamu_assets.errors import InvalidError
from kamu_assets.query.model import QueryResponse

FORMATS = ("table", "json", "ndjson", "csv")


def known_format(text: str, *, as_json: bool) -> str:
    """How to print; told before a long query rather than after it."""
    if text not in FORMATS:
        raise InvalidError(f"unknown format {text!r}; there are {', '.join(FORMATS)}")
    return "json" if as_json else text


def is_for_people(form: str) -> bool:
    """Whether numbers that JSON does not have can be shown."""
    return form in ("table", "csv")


def query_text(argument: str | None) -> str:
    """The query that was typed, or standard input."""
    if argument is not None:
        return argument
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidError(f"standard input is not UTF-8: byte {error.start}") from error


def print_answer(answer: QueryResponse, form: str) -> None:
    """Rows (as arrays) in one of `FORMATS`."""
    names = list(answer.columns)
    rows: list[list[Any]] = answer.rows()
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *([_csv_cell(value) for value in row] for row in rows)])
    else:
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


def _csv_cell(value: Any) -> Any:
    """Numbers and texts as they are, truth and nested values as JSON."""
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value
