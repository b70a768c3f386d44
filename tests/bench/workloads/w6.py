"""A snapshot of 1M rows, 1 % of them changed, 0.1 % gone and 0.1 % new, after one of the day before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.measurement import Measurement
from tests.bench.merge_data import snapshot
from tests.bench.merging import build_history, check_operations, push, with_history
from tests.bench.pairs import Subject, compare
from tests.bench.peers import merges

ROWS = 1_000_000
PAIRS = 5
_MOVED = ROWS // 1000
_CHANGED = ROWS // 100
_OPERATIONS = {0: _MOVED, 1: _MOVED, 2: _CHANGED, 3: _CHANGED}


def measure() -> Iterator[Measurement]:
    before, now = snapshot(ROWS, 1), snapshot(ROWS, 2)
    with TemporaryDirectory(prefix="bench-w6-") as folder:
        home = Path(folder, "home")
        build_history(home, "{kind: Snapshot, primaryKey: [id]}", [snapshot(ROWS, 0), before])
        merges.make_delta(Path(folder, "delta"), before)
        ours = Subject(
            "snapshot",
            partial(push, file=now),
            partial(check_operations, wanted=_OPERATIONS),
            prepare=partial(with_history, home=home),
        )
        limits = {"double join": 0.5, "deltalake": 0.5}
        yield from compare("w6", ours, list(_against(before, now, Path(folder, "delta"))), limits=limits, pairs=PAIRS)


def _against(before: Path, now: Path, delta: Path) -> Iterator[Subject]:
    check = partial(merges.check_rows, rows=sum(_OPERATIONS.values()))
    for name, run in {"double join": merges.double_join, "single join": merges.single_join}.items():
        yield Subject(name, partial(run, old=before, new=now), check, prepare=merges.warm)
    yield Subject(
        "deltalake",
        partial(merges.delta_snapshot, new=now),
        partial(merges.check_delta, rows=ROWS),
        prepare=partial(merges.delta_table, table=delta),
        needs=("deltalake",),
        imports=("deltalake",),
    )
