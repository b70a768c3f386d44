"""From the streaming SQL of Flink to SQL that DataFusion plans: windows become columns, temporal tables plain ones.

Everything else of the text stays as it was written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.steady import check_steady
from kamu_assets.engines.incremental.tokens import Cursor, Token, tokens_of
from kamu_assets.engines.session import quoted

_MILLIS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
_LONGEST_MILLIS: Final = 36_500 * 86_400_000
_REFUSED: Final = frozenset(
    {window + part for window in ("HOP", "SESSION", "CUMULATE") for part in ("", "_START", "_END", "_ROWTIME")}
    | {"TUMBLE_ROWTIME", "TUMBLE_PROCTIME", "MATCH_RECOGNIZE"}
)


@dataclass(frozen=True, slots=True)
class Tumble:
    """Windows of one length, one after the other; the columns that tell a row's window."""

    time: str
    millis: int
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class TemporalTable:
    """A table as it was at the time of each row of a stream."""

    table: str
    time: tuple[str, ...]
    is_function: bool


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A query for DataFusion, and what was taken out of it."""

    sql: str
    tumble: Tumble | None
    temporal: TemporalTable | None


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str
    found: Tumble | TemporalTable


def rewrite(sql: str) -> Rewritten:
    """Take windows and temporal tables out of a query; refuse what is not the same on every run."""
    tokens = tokens_of(sql)
    check_steady(tokens)
    edits = list(_edits(sql, tokens))
    tumbles = {edit.found for edit in edits if isinstance(edit.found, Tumble)}
    temporals = [edit.found for edit in edits if isinstance(edit.found, TemporalTable)]
    if len(tumbles) > 1:
        raise UnsupportedConstructError("more than one kind of window in a query")
    if len(temporals) > 1:
        raise UnsupportedConstructError("more than one temporal table in a query")
    if tumbles and temporals:
        raise UnsupportedConstructError("a window and a temporal table in one query")
    for edit in reversed(edits):
        sql = sql[: edit.start] + edit.text + sql[edit.end :]
    return Rewritten(sql, next(iter(tumbles), None), next(iter(temporals), None))


def _edits(sql: str, tokens: Sequence[Token]) -> Iterator[_Edit]:
    at = 0
    while at < len(tokens):
        _refuse_other_windows(tokens, at)
        cursor = Cursor(tokens, at)
        found = _window_function(cursor) or _window_table(cursor, sql) or _as_of(cursor) or _lateral(cursor, sql)
        if found is None:
            at += 1
            continue
        text, what = found
        yield _Edit(tokens[at].start, cursor.last.end, text, what)
        at = cursor.at


def _refuse_other_windows(tokens: Sequence[Token], at: int) -> None:
    name = (tokens[at].name or "").upper()
    if name in _REFUSED and at + 1 < len(tokens) and tokens[at + 1].text == "(":
        raise UnsupportedConstructError(f"{name}(…)")


def _window_function(cursor: Cursor) -> tuple[str, Tumble] | None:
    """`TUMBLE(time, INTERVAL '1' HOUR)`, `TUMBLE_START(…)`, `TUMBLE_END(…)`."""
    name = next((name for name in ("TUMBLE", "TUMBLE_START", "TUMBLE_END") if cursor.take(name, "(")), None)
    if name is None:
        return None
    path = cursor.take_path()
    if path is None or not cursor.take(","):
        raise UnsupportedConstructError(f"{name} of anything but an event time column and an interval")
    tumble = Tumble(path[-1], _interval(cursor), "tumble start", "tumble end")
    if not cursor.take(")"):
        raise UnsupportedConstructError(f"{name} with more than a time and an interval")
    start, end = quoted(tumble.start), quoted(tumble.end)
    return {"TUMBLE": f"{start}, {end}", "TUMBLE_START": start, "TUMBLE_END": end}[name], tumble


def _window_table(cursor: Cursor, sql: str) -> tuple[str, Tumble] | None:
    """`TABLE(TUMBLE(TABLE input, DESCRIPTOR(time), INTERVAL '1' HOUR))`, with named arguments too."""
    if not cursor.take("TABLE", "(", "TUMBLE", "("):
        return None
    cursor.take("DATA", "=>")
    table = _named_table(cursor, sql)
    if not cursor.take(","):
        raise UnsupportedConstructError("TUMBLE of a table without a time and an interval")
    cursor.take("TIMECOL", "=>")
    path = cursor.take_path() if cursor.take("DESCRIPTOR", "(") else None
    if path is None or not cursor.take(")", ","):
        raise UnsupportedConstructError("TUMBLE of a table without DESCRIPTOR(<event time>) and an interval")
    cursor.take("SIZE", "=>")
    tumble = Tumble(path[-1], _interval(cursor), "window_start", "window_end")
    if not cursor.take(")", ")"):
        raise UnsupportedConstructError("TUMBLE of a table with more than a time and an interval")
    return table, tumble


def _named_table(cursor: Cursor, sql: str) -> str:
    if cursor.take("TABLE"):
        first = cursor.at
        if cursor.take_path() is not None:
            return sql[cursor.token(first).start : cursor.last.end]
    raise UnsupportedConstructError("TUMBLE of anything but TABLE <name>")


def _interval(cursor: Cursor) -> int:
    """Milliseconds of `INTERVAL '15' MINUTE`, also in its other spellings."""
    if not cursor.take("INTERVAL"):
        raise UnsupportedConstructError("a window without INTERVAL")
    amount = cursor.take_kind("string", "number")
    words = amount.text.strip("'").split() if amount else []
    if len(words) == 1 and (unit := cursor.take_kind("word")):
        words.append(unit.text)
    match words:
        case [count, span] if count.isascii() and count.isdigit():
            millis = int(count) * _MILLIS.get(span.upper().removesuffix("S"), 0)
            if 0 < millis <= _LONGEST_MILLIS:
                return millis
    raise UnsupportedConstructError(f"a window of INTERVAL {' '.join(words)} (not so many SECOND, MINUTE, HOUR or DAY)")


def _as_of(cursor: Cursor) -> tuple[str, TemporalTable] | None:
    """`FOR SYSTEM_TIME AS OF stream.time`."""
    table = cursor.last.name if cursor.at else None
    if table is None or not cursor.take("FOR", "SYSTEM_TIME", "AS", "OF"):
        return None
    path = cursor.take_path()
    if path is None:
        raise UnsupportedConstructError("FOR SYSTEM_TIME AS OF anything but a column")
    return "", TemporalTable(table, path, is_function=False)


def _lateral(cursor: Cursor, sql: str) -> tuple[str, TemporalTable] | None:
    """`LATERAL TABLE(table(stream.time))`."""
    if not cursor.take("LATERAL", "TABLE", "("):
        return None
    first = cursor.at
    function = cursor.take_path()
    name = sql[cursor.token(first).start : cursor.last.end]
    path = cursor.take_path() if function and cursor.take("(") else None
    if function is None or path is None or not cursor.take(")", ")"):
        raise UnsupportedConstructError("LATERAL TABLE of anything but <temporal table>(<time of the stream>)")
    return name, TemporalTable(function[-1], path, is_function=True)
