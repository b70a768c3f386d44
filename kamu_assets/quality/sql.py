"""Rules as SQL over the changelog that a dataset is. Pure.

A row that was added or corrected to counts once, one that was retracted or corrected from counts down (ODF: Operation
Type): the sum is how many of the rows that hold break a rule, and slices can be summed up one after the other.
"""

from collections.abc import Sequence
from datetime import date

from kamu_assets.odf.data import (
    DataType,
    DateType,
    DecimalType,
    Float16Type,
    Float32Type,
    Float64Type,
    Int8Type,
    Int16Type,
    Int32Type,
    Int64Type,
    TimestampType,
    UInt8Type,
    UInt16Type,
    UInt32Type,
    UInt64Type,
)
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.quality.columns import Table, UnfitBoundError
from kamu_assets.quality.model import NotNull, Range, RowCountChange, moment_of

# What the dataset is called in these queries.
ROWS = '"rows"'
MAX_OFFSETS = 10

# Columns of ours beside those of the dataset.
_FRESH = "\u2063fresh"

_FLOATS = (Float16Type, Float32Type, Float64Type)
_WHOLE = (Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type)
_NUMBERS = (*_FLOATS, *_WHOLE, DecimalType)


def breaks(rule: NotNull | Range, table: Table) -> str:
    """The condition of rows that break a rule; InvalidError when it does not fit the table."""
    if isinstance(rule, NotNull):
        return " or ".join(f"{_column(column, table)} is null" for column in rule.columns)
    column, type_ = _column(rule.column, table), table.type_of(rule.column)
    bounds = ((rule.min, "<"), (rule.max, ">"))
    found = [f"{column} {sign} {_literal(bound, rule.column, type_)}" for bound, sign in bounds if bound is not None]
    if isinstance(type_, _FLOATS):
        found.append(f"isnan(cast({column} as double))")
    return " or ".join(found)


def counts(conditions: Sequence[str], table: Table, *, first: int, source: str = ROWS) -> str:
    """Of the rows from an offset on, for each condition how many meet it, and how many of those took others back.

    Everything is counted in one pass.
    """
    sums = []
    for number, condition in enumerate(conditions):
        sums.append(f"coalesce(sum(case when {condition} then {sign(table)} else 0 end), 0) as broken{number}")
        sums.append(f"coalesce(sum(case when {condition} then {taken(table)} else 0 end), 0) as taken{number}")
    return f"select {', '.join(sums)} from {source} where {offset(table)} >= {first}"


def takes(table: Table) -> str:
    """How many rows take others back."""
    return f"select coalesce(sum({taken(table)}), 0) as taken from {ROWS}"


def changes(rule: RowCountChange, table: Table, *, first: int) -> str:
    """Of the commits from an offset on: how many there are, how many break the rule, and the least and the most."""
    broken = f"coalesce(sum(cast({_is_out(rule)} as bigint)), 0) as broken"
    span = "coalesce(min(change), 0) as low, coalesce(max(change), 0) as high"
    return f"select count(*) as commits, {broken}, {span} from ({_commits(table, first)})"


def broken_commits(rule: RowCountChange, table: Table, *, first: int) -> str:
    """Where the newest begin of those that break the rule."""
    return f"select place from ({_commits(table, first)}) where {_is_out(rule)} order by place desc limit {MAX_OFFSETS}"


def first_after(moment: Timestamp, table: Table) -> str:
    """Where the oldest commit begins that was made after a moment."""
    return f"select min({offset(table)}) as place from {ROWS} where {_system_time(table)} > {_moment(str(moment))}"


def _commits(table: Table, first: int) -> str:
    columns = f"min({offset(table)}) as place, sum({sign(table)}) as change"
    return f"select {columns} from {ROWS} where {offset(table)} >= {first} group by {_system_time(table)}"


def _is_out(rule: RowCountChange) -> str:
    bounds = ((rule.min, "<"), (rule.max, ">"))
    return "(" + " or ".join(f"change {sign} ({bound})" for bound, sign in bounds if bound is not None) + ")"


def offsets(condition: str, table: Table, *, first: int, source: str = ROWS) -> str:
    """The newest rows from an offset on that meet a condition and were not taken back there and then."""
    return (
        f"select {offset(table)} as place from {source} where {offset(table)} >= {first} and {taken(table)} = 0"
        f" and ({condition}) order by place desc limit {MAX_OFFSETS}"
    )


def offsets_that_hold(condition: str, table: Table) -> str:
    """The same where rows were taken back: of those that are equal otherwise, so many as were not."""
    columns = ", ".join(quoted(name) for name in table.types if name not in table.system_columns)
    return (
        f"select {_newest(table)} as place from {ROWS} where {condition}"
        f" group by {columns} having sum({sign(table)}) > 0 order by place desc limit {MAX_OFFSETS}"
    )


def repeats(columns: Sequence[str], table: Table, *, first: int, source: str = ROWS) -> str:
    """How many rows repeat another one, among those whose values occur from an offset on."""
    groups = _repeated(columns, table, first, source)
    return f"select coalesce(sum(n - 1), 0) as broken from ({groups})"


def repeated_offsets(columns: Sequence[str], table: Table, *, source: str = ROWS) -> str:
    """The newest row of each value that occurs more than once."""
    return f"select place from ({_repeated(columns, table, 0, source)}) order by place desc limit {MAX_OFFSETS}"


def _repeated(columns: Sequence[str], table: Table, first: int, source: str) -> str:
    keys = [_column(column, table) for column in columns]
    there = " and ".join(f"{key} is not null" for key in keys)
    if first:
        # What has not changed since is as unique as it was.
        fresh = [quoted(f"{_FRESH}{number}") for number in range(len(keys))]
        named = ", ".join(f"{key} as {name}" for key, name in zip(keys, fresh, strict=True))
        same = " and ".join(f"{key} = {name}" for key, name in zip(keys, fresh, strict=True))
        new = f"select distinct {named} from {ROWS} where {offset(table)} >= {first} and {there}"
        source = f"{source} join ({new}) on {same}"
    return (
        f"select sum({sign(table)}) as n, {_newest(table)} as place from {source} where {there}"
        f" group by {', '.join(keys)} having sum({sign(table)}) > 1"
    )


def quoted(name: str) -> str:
    """A name as an SQL identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def _column(name: str, table: Table) -> str:
    table.type_of(name)
    return quoted(name)


def offset(table: Table) -> str:
    return quoted(table.vocab.offset_column)


def _system_time(table: Table) -> str:
    return quoted(table.vocab.system_time_column)


def _moment(text: str) -> str:
    return f"arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def _newest(table: Table) -> str:
    return f"max(case when {taken(table)} = 0 then {offset(table)} end)"


def sign(table: Table) -> str:
    return f"(1 - 2 * {taken(table)})"


def taken(table: Table) -> str:
    """1 for what a row takes back, 0 for what it adds."""
    if not table.has_operations:
        return "cast(0 as bigint)"
    return f"cast({quoted(table.vocab.operation_type_column)} in (1, 2) as bigint)"


def _literal(bound: float | str, column: str, type_: DataType) -> str:
    if isinstance(bound, str):
        moment = moment_of(bound)
        if isinstance(type_, DateType) and isinstance(moment, date):
            return f"cast('{moment.isoformat()}' as date)"
        if isinstance(type_, TimestampType):
            text = f"{moment.isoformat()}T00:00:00Z" if isinstance(moment, date) else str(moment)
            return _moment(text)
    elif isinstance(type_, _NUMBERS):
        return f"({bound!r})"
    raise UnfitBoundError(column, type_.kind, bound)
