"""500 pushes of 1 to 100 rows, one after another, synced and not; then 5,000, and whether they slow down.

Peers go as far as 500 only: deltalake takes longer for every commit that is there already.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import small_pushes
from tests.bench.measurement import Machine, Measurement
from tests.bench.pairs import Contest, Subject, compare_all
from tests.bench.peers.small_commits import bare_commits, check_table, delta_commits
from tests.bench.small_pushes import check_all, push_all, small_tables, times_of

COMMITS = 500
GROWN = 5_000
PAIRS = 3
# A fifth and an eighth of deltalake's time: 5 and 8 times its commits a second. It syncs nothing.
LIMITS = {
    "full": {"deltalake wall": 1 / 5, "floor full wall": 2.5},
    "fast": {"deltalake wall": 1 / 8},
}
GROWTH = 1.3


def measure() -> Iterator[Measurement]:
    yield from compare_all("w3", contests(), pairs=PAIRS)
    yield growth()


def contests() -> list[Contest]:
    """What is committed without HTTP and without a worker is judged; what is pushed through a worker informs."""
    tables = small_tables(COMMITS)
    check = partial(check_table, rows=sum(table.num_rows for table in tables), commits=COMMITS)
    made = partial(delta_commits, tables=tables)
    deltalake = Subject("deltalake", made, check, needs=("deltalake",), imports=("deltalake",))
    found = []
    for durability, limits in LIMITS.items():
        bare = partial(bare_commits, tables=tables, synced=durability == "full")
        against = [deltalake, Subject(f"floor {durability}", bare, check)]
        found.append(Contest(_subject(f"commit {durability}", small_pushes.library, durability), against, limits))
        found.append(Contest(_subject(f"push {durability}", small_pushes.pushing, durability), against))
    return found


def growth() -> Measurement:
    """The last tenth of 5,000 commits against the first, and the floor's beside it."""
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        machine = Machine.now()
        with small_pushes.library(Path(folder), durability="fast", count=GROWN) as ours:
            took = times_of(ours)
            check_all(ours, GROWN)
    first, last = _tenths(took)
    floor_first, floor_last = _tenths(_floor_times())
    details = {
        "first_ms": first * 1000,
        "last_ms": last * 1000,
        "floor": floor_last / floor_first,
        "floor_first_ms": floor_first * 1000,
        "floor_last_ms": floor_last * 1000,
        "commits": GROWN,
    }
    return Measurement("w3: last tenth / first tenth", last / first, "x", machine, limit=GROWTH, details=details)


def _tenths(took: Sequence[float]) -> tuple[float, float]:
    """The middle of the first tenth and that of the last."""
    tenth = len(took) // 10
    return median(took[:tenth]), median(took[-tenth:])


def _floor_times() -> list[float]:
    moments = [time.perf_counter()]
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        tables = small_tables(GROWN)
        bare_commits(Path(folder), tables=tables, synced=False, on_commit=lambda: moments.append(time.perf_counter()))
    return [end - start for start, end in pairwise(moments)]


def _subject(name: str, path: Callable[..., Any], durability: str) -> Subject:
    return Subject(
        name,
        push_all,
        partial(check_all, count=COMMITS),
        prepare=partial(path, durability=durability, count=COMMITS),
    )
