"""Verification of 2M rows by 9 columns in ten slices: of a root by its data, of a derivative by computing it again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.measurement import Measurement
from tests.bench.pairs import Subject, compare
from tests.bench.peers.verified import check_all, verify_results, verify_slices
from tests.bench.verifying import AMOUNTS, EVENTS, QUERY, check_report, kept_home, ready_to_verify, verify

ROWS = 2_000_000
SLICES = 10
PAIRS = 5
FLOOR = 1.25
# Rows of nine columns that a second of processor time must do for.
ROWS_PER_CPU_SECOND = 1_500_000


def measure() -> Iterator[Measurement]:
    home = kept_home(ROWS)
    yield from _data(home)
    yield from _results(home)


def _data(home: Path) -> Iterator[Measurement]:
    ours = Subject(
        "verify",
        verify,
        partial(check_report, slices=SLICES, replays=0),
        prepare=partial(ready_to_verify, home=home, dataset=EVENTS),
    )
    reading = Subject("floor", partial(verify_slices, home=home, dataset="events"), partial(check_all, slices=SLICES))
    for found in compare("w10_data", ours, [reading], limits={"floor": FLOOR}, pairs=PAIRS):
        yield found
        if found.details.get("clock") == "cpu":
            yield _cost(found)


def _results(home: Path) -> Iterator[Measurement]:
    ours = Subject(
        "verify",
        verify,
        partial(check_report, slices=SLICES, replays=SLICES),
        prepare=partial(ready_to_verify, home=home, dataset=AMOUNTS),
    )
    run = partial(verify_results, home=home, dataset="amounts", source="events", query=QUERY)
    computing = Subject("floor", run, partial(check_all, slices=SLICES), needs=("datafusion",), imports=("datafusion",))
    yield from compare("w10_results", ours, [computing], limits={"floor": FLOOR}, pairs=PAIRS)


def _cost(found: Measurement) -> Measurement:
    """Processor time for each million rows."""
    seconds = found.details["cpu_s"]
    if not isinstance(seconds, float):
        raise TypeError("a comparison tells the processor time of ours")
    millions = ROWS / 1_000_000
    limit = 1_000_000 / ROWS_PER_CPU_SECOND
    return Measurement(
        "w10_data: verify, cpu per million rows",
        seconds / millions,
        "s",
        found.machine,
        limit=limit,
        by_clock=False,
        details={"workload": "w10_data", "subject": "verify", "guard": limit, "cpu_s": seconds},
    )
