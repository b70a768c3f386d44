"""What may come next in a query: names of datasets, their columns, words of SQL. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r'"(?:[^"]|"")*$|[\w.]*$')
_NAME: Final = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w]*)')
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_TABLE_BEFORE: Final = re.compile(r"(?is)\b(?:from|join)\s+$|\bfrom\s[^;()]*,\s*$")
KEYWORDS: Final = (
    *("and", "as", "asc", "between", "by", "case", "cast", "count", "cross join", "desc", "describe", "distinct"),
    *("else", "end", "except", "exists", "explain", "false", "from", "full join", "group by", "having", "in"),
    *("inner join", "intersect", "interval", "is", "join", "left join", "like", "limit", "not", "null", "offset"),
    *("on", "or", "order by", "over", "partition by", "right join", "select", "show tables", "then", "true", "union"),
    *("union all", "using", "values", "when", "where", "with", "avg", "coalesce", "date_trunc", "max", "min", "round"),
    *("row_number", "sum", "to_timestamp"),
)
# Words that mean something of their own, some of them only at some places.
_RESERVED: Final = frozenset(word for words in KEYWORDS for word in words.split())


@dataclass(frozen=True)
class Word:
    """A text that may stand in place of the last `length` characters."""

    text: str
    length: int
    kind: str


def next_words(
    before: str, statement: str, *, tables: Sequence[str], columns: Callable[[str], Sequence[str]]
) -> Iterator[Word]:
    """Words that continue what stands before the cursor; `statement` is all of it, also what comes after."""
    if before.count("'") % 2:
        return
    match = _WORD.search(before)
    typed = match[0] if match else ""
    start = before[: len(before) - len(typed)]
    wanted = typed.lstrip('"').lower()
    is_table = _TABLE_BEFORE.search(start) is not None
    for text, kind in _candidates(statement, is_table, tables, columns):
        shown = text if kind == "keyword" else quoted_where_needed(text)
        if text.lower().startswith(wanted) and not (kind == "keyword" and (typed.startswith('"') or not typed)):
            yield Word(f'"{text}"' if typed.startswith('"') else shown, len(typed), kind)


def describe_words(before: str, tables: Sequence[str]) -> Iterator[Word]:
    r"""Names that may follow `\d`."""
    typed = before.rpartition(" ")[2]
    for table in tables:
        if table.lower().startswith(typed.lower()):
            yield Word(table, len(typed), "dataset")


def quoted_where_needed(name: str) -> str:
    """A name as SQL takes it: with quotes unless it is a plain word."""
    escaped = name.replace('"', '""')
    return name if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED else f'"{escaped}"'


def _candidates(
    statement: str, is_table: bool, tables: Sequence[str], columns: Callable[[str], Sequence[str]]
) -> Iterator[tuple[str, str]]:
    if not is_table:
        seen = dict.fromkeys(column for table in _named(statement, tables) for column in columns(table))
        yield from ((column, "column") for column in seen)
    yield from ((table, "dataset") for table in tables)
    if not is_table:
        yield from ((word, "keyword") for word in KEYWORDS)


def _named(statement: str, tables: Sequence[str]) -> Iterator[str]:
    """The datasets that a statement names, as far as it is written."""
    known = {table.lower(): table for table in tables}
    for match in _NAME.finditer(statement):
        name = (match[1] or match[2]).replace('""', '"').lower().removeprefix("kamu/")
        if name in known:
            yield known[name]
