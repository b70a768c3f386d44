"""What rules count over a changelog: the rows that hold, at once or slice by slice."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import datafusion
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DatasetVocabulary,
    DateType,
    Float64Type,
    Int32Type,
    Int64Type,
    OptionType,
    StringType,
    TimestampType,
)
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.quality.columns import Table, UnfitBoundError, UnknownColumnError
from kamu_assets.quality.counting import Begun, Changes, Counting
from kamu_assets.quality.model import NotNull, Range, RowCountChange, Unique
from kamu_assets.quality.results import Tally

ADD, TAKE, FROM, TO = range(4)
NO_NULLS = NotNull(columns=("name",))
LEVELS = Range(column="level", min=0, max=9)
KEYS = Unique(columns=("id",))

_TYPES: dict[str, tuple[Any, pa.DataType]] = {
    "offset": (Int64Type(), pa.int64()),
    "op": (Int32Type(), pa.int32()),
    "system_time": (TimestampType(), pa.timestamp("ms", "UTC")),
    "event_time": (TimestampType(), pa.timestamp("ms", "UTC")),
    "id": (Int64Type(), pa.int64()),
    "name": (StringType(), pa.string()),
    "level": (Float64Type(), pa.float64()),
    "day": (DateType(), pa.date32()),
}
SCHEMA = DataSchema(
    fields=tuple(DataField(name=name, type=OptionType(inner=kind)) for name, (kind, _) in _TYPES.items())
)
# Operation, id, name, level.
Row = tuple[int, int | None, str | None, float | None]


def counting(
    rows: Sequence[Row],
    *,
    day: date | None = None,
    times: Sequence[int] | None = None,
    moments: Sequence[int] | None = None,
) -> Counting:
    """Over rows in the order of their offsets, with their event times and the system times of their commits."""
    columns = {
        "offset": range(len(rows)),
        "op": [row[0] for row in rows],
        "system_time": moments or [0] * len(rows),
        # Retractions need not have the event time of what they retract.
        "event_time": times or list(range(len(rows))),
        "id": [row[1] for row in rows],
        "name": [row[2] for row in rows],
        "level": [row[3] for row in rows],
        "day": [day] * len(rows),
    }
    arrays = {name: pa.array(values, _TYPES[name][1]) for name, values in columns.items()}
    context = datafusion.SessionContext()
    context.from_arrow(pa.table(arrays), name="rows")
    return Counting(
        Table.of(SCHEMA, DatasetVocabulary()), lambda query: context.sql(query).to_arrow_table().to_pylist()
    )


def in_two(rows: Sequence[Row], rule: NotNull | Range, *, at: int) -> Tally:
    """Up to an offset first, and on from there."""
    (first,) = counting(rows[:at]).by_row([rule], [Begun()])
    (both,) = counting(rows).by_row([rule], [Begun(first, at)])
    return both


def test_rows_that_break_a_rule_are_counted_and_found() -> None:
    rows = [(ADD, 1, "a", 5.0), (ADD, 2, None, 10.0), (ADD, 3, None, None)]

    nulls, levels = counting(rows).by_row([NO_NULLS, LEVELS], [Begun(), Begun()])

    assert (nulls.failed, nulls.offsets) == (2, (2, 1))
    assert (levels.failed, levels.offsets) == (1, (1,))


def test_what_is_retracted_or_corrected_counts_no_more() -> None:
    rows: list[Row] = [(ADD, 1, None, 1.0), (ADD, 2, None, 2.0), (ADD, 3, None, 3.0), (TAKE, 1, None, 1.0)]
    rows += [(FROM, 2, None, 2.0), (TO, 2, "b", 2.0)]

    for at in range(len(rows) + 1):
        tally = in_two(rows, NO_NULLS, at=at)
        assert (tally.failed, tally.offsets) == (1, (2,))


def test_retractions_of_what_never_was_are_no_failures() -> None:
    (tally,) = counting([(TAKE, 1, None, 1.0)]).by_row([NO_NULLS], [Begun()])

    assert (tally.failed, tally.offsets) == (0, ())


def test_nan_is_out_of_every_range_and_null_is_in_it() -> None:
    rows = [(ADD, 1, "a", float("nan")), (ADD, 2, "b", None), (ADD, 3, "c", -0.1)]

    high, low = counting(rows).by_row([Range(column="level", max=9), Range(column="level", min=0)], [Begun()] * 2)

    assert high.offsets == (0,)
    assert low.offsets == (2, 0)


def test_days_and_moments_have_bounds() -> None:
    rows = [(ADD, 1, "a", 1.0), (ADD, 2, "b", 1.0)]
    day = Range(column="day", min="2024-01-01")
    moment = Range(column="event_time", max="1970-01-01T00:00:00Z")

    days, moments = counting(rows, day=date(2023, 12, 31)).by_row([day, moment], [Begun()] * 2)

    assert days.failed == 2
    assert moments.offsets == (1,)


def test_repeats_are_counted_beyond_the_first_and_nulls_are_equal_to_none() -> None:
    rows = [(ADD, 1, "a", None), (ADD, 1, "b", None), (ADD, 1, "c", None), (ADD, None, "d", None)]
    rows += [(ADD, None, "e", None), (ADD, 2, "f", None), (TAKE, 2, "f", None), (ADD, 2, "g", None)]

    tally = counting(rows).unique(KEYS, Begun())

    assert (tally.failed, tally.offsets) == (2, (2,))


def test_a_repeat_of_an_old_key_is_found_among_the_new_ones() -> None:
    rows = [(ADD, 1, "a", None), (ADD, 2, "b", None), (ADD, 3, "c", None), (ADD, 1, "d", None)]

    tally = counting(rows).unique(KEYS, Begun(Tally(), 3))

    assert (tally.failed, tally.offsets) == (1, (3,))


def test_repeats_that_were_known_are_counted_again() -> None:
    rows = [(ADD, 1, "a", None), (ADD, 1, "b", None), (TAKE, 1, "a", None)]

    assert counting(rows[:2]).unique(KEYS, Begun()).failed == 1
    assert counting(rows).unique(KEYS, Begun(Tally(1, offsets=(1,)), 2)).failed == 0


def test_rules_that_do_not_fit_say_so() -> None:
    with pytest.raises(UnknownColumnError, match="no column 'nope'; there are offset, op"):
        counting([]).by_row([NotNull(columns=("nope",))], [Begun()])
    with pytest.raises(UnknownColumnError):
        counting([]).unique(Unique(columns=('"; drop',)), Begun())
    with pytest.raises(UnfitBoundError, match="cannot be compared with 'name', which is String"):
        counting([]).by_row([Range(column="name", min=0)], [Begun()])
    with pytest.raises(UnfitBoundError):
        counting([]).by_row([Range(column="level", min="2024-01-01")], [Begun()])


def test_each_commit_is_judged_by_the_rows_that_hold() -> None:
    rows = [(ADD, 1, "a", 1.0), (ADD, 2, "b", 1.0), (TAKE, 1, "a", 1.0), (FROM, 2, "b", 1.0), (TO, 2, "c", 1.0)]
    commits = counting([*rows, (ADD, 3, "d", 1.0)], moments=[0, 0, 1, 1, 1, 2])

    assert commits.changes(RowCountChange(min=1), first=0) == Changes(3, 1, low=-1, high=2, offsets=(2,))
    assert commits.changes(RowCountChange(min=0, max=1), first=0) == Changes(3, 2, low=-1, high=2, offsets=(2, 0))
    assert commits.changes(RowCountChange(max=1), first=2) == Changes(2, 0, low=-1, high=1)
    assert commits.changes(RowCountChange(max=1), first=6) == Changes(0, 0, low=0, high=0)


def test_commits_after_a_moment_come_in_the_place_of_those_from_an_offset_on() -> None:
    commits = counting([(ADD, number, "a", 1.0) for number in range(4)], moments=[1, 1, 2, 3])

    def first(after: int | None) -> int:
        return commits.first_commit(Begun(first=9, after=None if after is None else Timestamp.from_millis(after)))

    assert [first(None), first(0), first(1), first(2), first(3)] == [9, 0, 2, 3, 9]


LATE = Range(column="event_time", min="1970-01-01T00:00:00.010Z")


def test_a_retraction_need_not_have_the_time_of_what_it_retracts() -> None:
    rows = [(ADD, 1, "a", None), (ADD, 1, "a", None), (ADD, 2, "b", None), (TAKE, 1, "a", None), (TAKE, 2, "b", None)]

    # The older of two that are equal is left, unless the retraction names its time.
    assert counting(rows, times=[1, 2, 3, 50, 50]).in_pairs(LATE, Begun()) == Tally(1, offsets=(0,))
    assert counting(rows, times=[1, 20, 3, 50, 50]).in_pairs(LATE, Begun()) == Tally(1, offsets=(0,))
    assert counting(rows, times=[20, 2, 3, 50, 50]).in_pairs(LATE, Begun()) == Tally(0)
    assert counting(rows, times=[1, 20, 3, 1, 50]).in_pairs(LATE, Begun()) == Tally(0)
    moments = Unique(columns=("event_time",))
    assert counting(rows, times=[7, 7, 7, 50, 50]).in_pairs(moments, Begun()) == Tally(0)
    assert counting(rows[:3], times=[7, 7, 8]).in_pairs(moments, Begun()) == Tally(1, offsets=(1,))


def test_rules_of_system_columns_are_told_from_others() -> None:
    assert [counting([]).needs_pairs(rule) for rule in (LATE, LEVELS, NO_NULLS, KEYS)] == [True, False, False, False]


_TIMED = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from([1, 20, 30])), max_size=10)


@given(_TIMED)
def test_rows_are_paired_with_what_takes_them_back(timed: list[tuple[int, int, int]]) -> None:
    held: list[tuple[int, int, int]] = []
    left: list[tuple[int, int, int]] = []
    for same_time in (True, False):
        held = []
        for place, key, time in [(n, key, time) for n, (_, key, time) in enumerate(timed)] if same_time else left:
            op = timed[place][0]
            equal = [row for row in held if timed[row[0]][0] in (ADD, TO) and row[1] == key]
            equal = [row for row in equal if row[2] == time] if same_time else equal
            if op in (TAKE, FROM) and equal:
                held.remove(equal[-1])
            else:
                held.append((place, key, time))
        left = held
    broken = [place for place, _, time in left if timed[place][0] in (ADD, TO) and time < 10]

    rows: list[Row] = [(op, key, "a", None) for op, key, _ in timed]
    tally = counting(rows, times=[time for *_, time in timed]).in_pairs(LATE, Begun())

    assert (tally.failed, sorted(tally.offsets)) == (len(broken), broken)


_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, 2), st.none() | st.just("a"), st.none() | st.just(20.0)),
    max_size=12,
)


@given(_ROWS, st.integers(0, 12))
def test_slice_by_slice_is_as_good_as_at_once(rows: list[Row], at: int) -> None:
    held = Counter[Row]()
    for op, key, name, level in rows:
        held[ADD, key, name, level] += 1 if op in (ADD, TO) else -1

    for rule, breaks in ((NO_NULLS, lambda row: row[2] is None), (LEVELS, lambda row: row[3] == 20.0)):
        expected = max(0, sum(count for row, count in held.items() if breaks(row)))
        assert in_two(rows, rule, at=min(at, len(rows))).failed == expected

    before = counting(rows[:at]).unique(KEYS, Begun())
    keys = Counter[int]()
    for row, count in held.items():
        if row[1] is not None:
            keys[row[1]] += count
    assert counting(rows).unique(KEYS, Begun(before, min(at, len(rows)))).failed == sum(
        count - 1 for count in keys.values() if count > 1
    )
