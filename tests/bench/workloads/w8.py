"""50,000 rows in 1,000 small slices, queried as quickly as in 50 larger ones; and in 600, held against kamu's times."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.measurement import Machine, Measurement, spread
from tests.bench.querying import Queried, sliced

ROWS = 50_000
FEW, MANY, SOME = "few", "many", "some"
SLICES = {FEW: 50, MANY: 1_000, SOME: 600}
ROUNDS = 30
RATIO_LIMIT = 2.0
LIMITS_MS = {"count": 10.0, "last 100": 15.0}
# Events are a tenth of a second apart, and out of order by two seconds at most.
_HOUR = "timestamp '2023-11-14T22:13:20' + interval '10 minutes' and timestamp '2023-11-14T22:43:20'"
QUERIES: dict[str, tuple[str, object]] = {
    "count": ("select count(*) as n from {}", {"n": ROWS}),
    "last 100": ('select id from {} order by "offset" desc limit 100', {"id": ROWS - 1}),
    "point": ('select id from {} where "offset" = 12345', {"id": 12_345}),
    "half an hour": (
        f"select min(id) > 0 and max(id) < {ROWS} as inside from {{}} where event_time between {_HOUR}",
        {"inside": True},
    ),
}


def measure() -> Iterator[Measurement]:
    with (
        tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder,
        sliced(Path(folder), rows=ROWS, slices=SLICES) as queried,
    ):
        yield _first(queried)
        for name in QUERIES:
            yield _ratio(queried, name)
        for name, limit in LIMITS_MS.items():
            yield _time(queried, name, limit)


def _first(queried: Queried) -> Measurement:
    """What it takes once: slices are put together."""
    sql, wanted = QUERIES["count"]
    machine = Machine.now()
    return Measurement(
        "w8: count, first over 1,000 slices", queried.first(sql.format(MANY), wanted=wanted), "ms", machine
    )


def _ratio(queried: Queried, name: str) -> Measurement:
    machine = Machine.now()
    few, many = (_times(queried, name, dataset) for dataset in (FEW, MANY))
    details = {"few_ms": median(few), "many_ms": median(many), **spread(many)}
    ratio = median(many) / median(few)
    return Measurement(f"w8: {name}, 1,000 slices / 50 slices", ratio, "x", machine, limit=RATIO_LIMIT, details=details)


def _time(queried: Queried, name: str, limit: float) -> Measurement:
    machine, took = Machine.now(), _times(queried, name, SOME)
    return Measurement(f"w8: {name}, 600 slices", median(took), "ms", machine, limit=limit, details=spread(took))


def _times(queried: Queried, name: str, dataset: str) -> list[float]:
    sql, wanted = QUERIES[name]
    return queried.times(sql.format(dataset), rounds=ROUNDS, wanted=wanted)
