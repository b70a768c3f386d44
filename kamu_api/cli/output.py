"""What commands say: tables for people, JSON for scripts, one plain line for a failure."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

console = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)
# What `--quiet` leaves out.
_aside = Console(stderr=True, soft_wrap=True)

_PIPE_WIDTH = 100_000
_SHORT = 120
_KIB = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB")


def set_manner(*, quiet: bool, no_color: bool) -> None:
    """How much is said beside answers and failures, and whether in colours."""
    _aside.quiet = quiet
    # Where the environment forbids colours they stay forbidden.
    for each in (console, errors, _aside):
        each.no_color = no_color or "NO_COLOR" in os.environ


def say(text: str) -> None:
    """One line for people, as it is."""
    console.print(text, markup=False, highlight=False)


def say_aside(text: str, *, end: str = "\n") -> None:
    """The same on standard error, where it is no part of the answer."""
    errors.print(text, markup=False, highlight=False, end=end)


def complain(text: str) -> None:
    """One line on standard error: what failed and why."""
    errors.print(f"error: {text}", style="red", markup=False, highlight=False)


def warn(text: str) -> None:
    """One line on standard error that nobody should overlook."""
    errors.print(f"warning: {text}", style="yellow", markup=False, highlight=False)


def remark(text: str) -> None:
    """One line on standard error about an answer, for people."""
    _aside.print(f"({text})", style="dim", markup=False, highlight=False)


def time_text(moment: str | None) -> str:
    """An RFC 3339 time in UTC for people, to the second."""
    return (moment or "").partition(".")[0].removesuffix("Z").replace("T", " ")


def short_text(text: str) -> str:
    """The beginning of a message, for a table; JSON has all of it."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= _SHORT else first[: _SHORT - 1] + "…"


def size_text(size: int) -> str:
    """Bytes for people."""
    if size < _KIB:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / _KIB**power:.1f} {_UNITS[power - 1]}"


def has_room(columns: int) -> bool:
    """Whether lines of so many characters stay lines; files and pipes have room for all."""
    return not console.is_terminal or console.width >= columns


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    # A terminal without Unicode gets escapes that JSON knows.
    plain = (sys.stdout.encoding or "utf-8").lower() not in ("utf-8", "utf8")
    sys.stdout.write(json.dumps(value, ensure_ascii=plain, default=str) + "\n")


def print_rows(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] | None = None, as_json: bool = False
) -> None:
    """Rows as a table, or as a JSON array with `as_json`."""
    if as_json:
        print_json(list(rows))
        return
    names = list(columns or (rows[0] if rows else ()))
    shown = (Column(cell_text(name), overflow="fold") for name in names)
    table = Table(*shown, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(cell_text(row.get(name)) for name in names))
    # Whoever reads a file or a pipe wants one line per row.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def print_csv(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Rows as CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerows([names, *([_csv_cell(value) for value in row] for row in rows)])


def number_text(value: float) -> str:
    """The shortest text that means the number; `NaN`, `inf` and `-inf` as kamu shows them."""
    return repr(value).replace("nan", "NaN")


def cell_text(value: Any) -> str:
    """A value as one table cell; markup of the data stays text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return number_text(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.replace("[", "\\[")


def _csv_cell(value: Any) -> Any:
    """Numbers and texts as they are, truth and nested values as JSON."""
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator["ProgressLine"]:
    """A line that moves while long work goes on; silent when nobody looks."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[note]}"),
    )
    silent = quiet or _aside.quiet or not _aside.is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=_aside, transient=True, disable=silent) as progress:
        yield ProgressLine(progress, title)


class ProgressLine:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, note="")

    def update(self, *, done: float | None = None, total: float | None = None, note: str | None = None) -> None:
        changes: dict[str, Any] = {"completed": done, "total": total}
        if note is not None:
            changes["note"] = note
        self._progress.update(self._task, **changes)
