"""2M rows in ten slices, followed by a derivative: a filter, hourly windows, and a join with a table that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc

from tests.bench.deriving import check_derived, derive, ready_to_derive
from tests.bench.measurement import Detail, Measurement
from tests.bench.pairs import Subject, compare
from tests.bench.peers import floor, followed
from tests.bench.peers.followed import HOUR, Followed, check_rows, kept_rates, kept_slices, one_shot

ROWS, SLICES, PAIRS = 2_000_000, 10, 9
FLOOR, ONE_SHOT = 1.5, 4.0
SLICE_MILLIS = 400.0

_WINDOWS = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, symbol, count(*) AS n, sum(qty) AS qty, "
    "max(price) AS price FROM events GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR), symbol"
)
_JOIN = (
    "SELECT events.event_time, events.symbol, qty, price * rate AS amount FROM events "
    "JOIN rates FOR SYSTEM_TIME AS OF events.event_time ON events.symbol = rates.symbol"
)
_PLAIN_WINDOWS = (
    "SELECT date_bin(INTERVAL '1 hour', event_time) AS event_time, symbol, count(*) AS n, sum(qty) AS qty, "
    "max(price) AS price FROM s WHERE CAST(event_time AS BIGINT) < {windows} GROUP BY 1, 2"
)
_PLAIN_JOIN = (
    "SELECT s.event_time, s.symbol, qty, price * rate AS amount FROM s JOIN t ON s.symbol = t.symbol "
    "AND CAST(t.event_time AS BIGINT) = CAST(s.event_time AS BIGINT) "
    "- (CAST(s.event_time AS BIGINT) - {first_rate}) % {hour} WHERE CAST(s.event_time AS BIGINT) < {end}"
)
_PLAIN_FILTER = "SELECT event_time, symbol, note, price, qty * 2 AS qty FROM s WHERE qty > 500"


@dataclass(frozen=True, slots=True)
class Case:
    """A derivation, its floor, and the plain query that gives the same rows."""

    engine: str
    query: str
    inputs: tuple[str, ...]
    floor: Callable[..., Any]
    plain: str
    sums: tuple[str, ...]


def measure() -> Iterator[Measurement]:
    sources = kept_slices(ROWS, SLICES)
    kept_rates(ROWS)
    end = followed.watermark_after(sources[-1])
    places = {"end": end, "windows": end - end % HOUR, "first_rate": followed.FIRST_RATE, "hour": HOUR}
    cases = {
        "w7_filter": Case(
            "datafusion",
            _PLAIN_FILTER.replace("FROM s", "FROM events"),
            ("events",),
            followed.filters,
            _PLAIN_FILTER,
            ("qty",),
        ),
        "w7_window": Case("flink", _WINDOWS, ("events",), followed.windows, _PLAIN_WINDOWS, ("n", "qty", "price")),
        "w7_join": Case("flink", _JOIN, ("events", "rates"), followed.joins, _PLAIN_JOIN, ("qty", "amount")),
    }
    for name, case in cases.items():
        yield from _measured(name, case, sources, case.plain.format(**places))


def _measured(name: str, case: Case, sources: list[Path], plain: str) -> Iterator[Measurement]:
    with TemporaryDirectory() as folder:
        whole = one_shot(Path(folder), sources=sources, query=plain)
    wanted = Followed(whole.num_rows, {column: pc.sum(whole[column]).as_py() for column in case.sums})
    prepare = partial(
        ready_to_derive, engine=case.engine, query=case.query, inputs=case.inputs, rows=ROWS, slices=SLICES
    )
    ours = Subject("derive", derive, partial(check_derived, wanted=wanted), prepare=prepare)
    check = partial(check_rows, wanted=wanted)
    libraries = ("datafusion", "polars")
    least = Subject("floor", partial(case.floor, sources=sources), check, imports=libraries, variables=floor.VARIABLES)
    once = Subject("one query", partial(one_shot, sources=sources, query=plain), check, imports=libraries)
    for found in compare(name, ours, [least, once], limits={"floor": FLOOR, "one query": ONE_SHOT}, pairs=PAIRS):
        yield found
        if found.details.get("clock") == "wall" and found.details.get("against") == "floor":
            yield _slice_time(name, found)


def _slice_time(name: str, found: Measurement) -> Measurement:
    """How long a slice takes from its commit to that of the derivative."""
    seconds = found.details["wall_s"]
    assert isinstance(seconds, float)
    details: dict[str, Detail] = {"workload": name, "subject": "derive", "guard": SLICE_MILLIS, "wall_s": seconds}
    label = f"{name}: derive, each slice"
    return Measurement(label, seconds / SLICES * 1000, "ms", found.machine, limit=SLICE_MILLIS, details=details)
