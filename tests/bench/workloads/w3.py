"""500 pushes of 1 to 100 rows, one after another, synced and not; then 5,000, and whether they slow down."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import small_pushes
from tests.bench.measurement import Machine, Measurement
from tests.bench.pairs import Subject, compare
from tests.bench.peers.small_commits import bare_commits, check_table, delta_commits
from tests.bench.small_pushes import check_all, push_all, small_tables, times_of

COMMITS = 500
GROWN = 5_000
PAIRS = 3
# A fifth and an eighth of deltalake's time: 5 and 8 times its commits a second. It syncs nothing.
LIMITS = {
    "full": {"deltalake wall": 1 / 5, "floor wall": 2.5},
    "fast": {"deltalake wall": 1 / 8},
}
GROWTH = 1.3


def measure() -> Iterator[Measurement]:
    tables = small_tables(COMMITS)
    check = partial(check_table, rows=sum(table.num_rows for table in tables), commits=COMMITS)
    deltas = [
        Subject(
            name,
            partial(delta_commits, tables=tables, kept_open=kept_open),
            check,
            needs=("deltalake",),
            imports=("deltalake",),
        )
        for name, kept_open in {"deltalake": False, "deltalake kept open": True}.items()
    ]
    for durability, limits in LIMITS.items():
        floor = Subject("floor", partial(bare_commits, tables=tables, synced=durability == "full"), check)
        for name, path in {"commit": small_pushes.library, "push": small_pushes.pushing}.items():
            ours = _subject(f"{name} {durability}", path, durability)
            judged = limits if name == "commit" else {}
            yield from compare("w3", ours, [*deltas, floor], limits=judged, pairs=PAIRS)
    yield growth()


def growth() -> Measurement:
    """The last tenth of 5,000 commits against the first."""
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        machine = Machine.now()
        with small_pushes.library(Path(folder), durability="fast", count=GROWN) as ours:
            took = times_of(ours)
            check_all(ours, GROWN)
    tenth = GROWN // 10
    first, last = median(took[:tenth]), median(took[-tenth:])
    details = {"first_ms": first * 1000, "last_ms": last * 1000, "commits": GROWN}
    return Measurement("w3: last tenth / first tenth", last / first, "x", machine, limit=GROWTH, details=details)


def _subject(name: str, path: Callable[..., Any], durability: str) -> Subject:
    return Subject(
        name,
        push_all,
        partial(check_all, count=COMMITS),
        prepare=partial(path, durability=durability, count=COMMITS),
    )
