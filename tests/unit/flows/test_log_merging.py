"""The order of what a flow's log tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.flows.history.events import NOTHING, EventKind, FlowEvent, Happening
from kamu_assets.flows.logs.lines import START, InvalidLogCursorError, LogCursor, LogLine, RunLine
from kamu_assets.flows.logs.merging import LinesOf, merged
from kamu_assets.odf.timestamp import Timestamp


def event(id_: int, at: int, kind: EventKind, attempt: int | None = None) -> FlowEvent:
    what = NOTHING if attempt is None else Happening(attempt=attempt)
    return FlowEvent(id_, 1, Timestamp(at), kind, what)


def from_runs(runs: Mapping[int, Sequence[RunLine]]) -> LinesOf:
    def lines_of(attempt: int, after: int) -> Iterator[RunLine]:
        return (line for line in runs.get(attempt, ()) if line.id > after)

    return lines_of


def texts(lines: Iterable[LogLine]) -> list[str]:
    return [line.text for line in lines]


def run_line(id_: int, at: int, text: str) -> RunLine:
    return RunLine(id_, Timestamp(at), "info", text)


RETRIED = (
    event(1, 0, EventKind.INITIATED),
    event(2, 10, EventKind.ATTEMPT_QUEUED, 1),
    event(3, 20, EventKind.ATTEMPT_RUNNING, 1),
    event(4, 30, EventKind.ATTEMPT_FINISHED, 1),
    event(5, 40, EventKind.ATTEMPT_QUEUED, 2),
    event(6, 50, EventKind.ATTEMPT_FINISHED, 2),
    event(7, 60, EventKind.COMPLETED),
)
# Their clock is wrong in both directions.
RUNS = {
    1: [run_line(7, 5, "a"), run_line(8, 15, "b"), run_line(9, 25, "c"), run_line(10, 99, "d")],
    2: [run_line(1, 1, "e"), run_line(2, 45, "f")],
}
WHOLE = [
    "created",
    "attempt 1 queued",
    *("a", "b"),
    "attempt 1 running",
    *("c", "d"),
    "attempt 1 finished",
    "attempt 2 queued",
    *("e", "f"),
    "attempt 2 finished",
    "completed",
]


def test_lines_stand_within_their_attempt_whatever_their_clock_says() -> None:
    assert texts(merged(RETRIED, START, from_runs(RUNS))) == WHOLE


def test_what_a_live_run_says_is_told_at_once() -> None:
    assert texts(merged(RETRIED[:3], START, from_runs(RUNS))) == WHOLE[:7]


def test_a_run_that_was_told_of_afterwards_comes_before_its_end() -> None:
    recorded = (
        event(1, 0, EventKind.INITIATED),
        event(2, 0, EventKind.ATTEMPT_FINISHED, 1),
        event(3, 0, EventKind.COMPLETED),
    )

    assert texts(merged(recorded, START, from_runs(RUNS))) == [
        "created", *"abcd", "attempt 1 finished", "completed",
    ]  # fmt: skip


@given(st.integers(0, len(WHOLE)), st.integers(0, len(RETRIED)), st.integers(0, 4))
def test_reading_goes_on_behind_every_line(taken: int, events: int, lines: int) -> None:
    """Whatever had happened when the first lines were read: nothing is told twice, nothing is left out."""
    early = {attempt: said[:lines] for attempt, said in RUNS.items()}
    first = list(merged(RETRIED[:events], START, from_runs(early)))[:taken]
    place = first[-1].cursor if first else START
    rest = merged([each for each in RETRIED if each.id > place.event], place, from_runs(RUNS))

    told = [*texts(first), *texts(rest)]
    in_order = [line for line in WHOLE if line in told]

    assert len(told) == len(set(told))
    assert {*WHOLE} - {*told} <= missed_by(early, events)
    assert sorted(told) == sorted(in_order)


def missed_by(early: Mapping[int, Sequence[RunLine]], events: int) -> set[str]:
    """Lines that were not there yet when the end of their attempt was told."""
    ended = {each.what.attempt for each in RETRIED[:events] if each.kind is EventKind.ATTEMPT_FINISHED}
    return {line.text for attempt in ended if attempt for line in RUNS[attempt][len(early[attempt]) :]}


def test_cursors_differ_and_survive_their_text() -> None:
    cursors = [line.cursor for line in merged(RETRIED, START, from_runs(RUNS))]

    assert [LogCursor.parse(str(each)) for each in cursors] == cursors
    assert all(one != other for one, other in pairwise(cursors))


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.3.4", "-1.0.0", "a.b.c", "1.2.3\n", "9" * 30 + ".0.0"])
def test_other_texts_are_no_cursors(text: str) -> None:
    with pytest.raises(InvalidLogCursorError):
        LogCursor.parse(text)
