"""A chain of 10,000 blocks: blocks walked a second with their hashes checked, opened cold, appended to."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from tests.bench.chain import (
    LongChain,
    append_times,
    long_chain,
    open_cold,
    walk,
    walk_by_hand,
    walk_files,
)
from tests.bench.measurement import Machine, Measurement, spread
from tests.bench.subject import expect

LENGTH = 10_000
SHORT = 100
ROUNDS = 5
APPENDS = 50
# 50,000 blocks a second.
WALK_LIMIT = 0.020
OPEN_LIMIT = 0.5
APPEND_LIMIT = 1.3


def measure() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder, long_chain(Path(folder), length=LENGTH) as chain:
        yield _walking("w12: walk", walk, chain, limit=WALK_LIMIT)
        yield _walking("w12: walk by hand", walk_by_hand, chain)
        yield _walking("w12: walk of files", walk_files, chain)
        machine = Machine.now()
        opened = [open_cold(chain) for _ in range(ROUNDS)]
        yield Measurement("w12: open", median(opened), "s", machine, limit=OPEN_LIMIT, details=spread(opened))
        yield _appending(chain)


def _walking(
    name: str, run: Callable[[LongChain], int], chain: LongChain, *, limit: float | None = None
) -> Measurement:
    """Milliseconds of processor time for each block."""
    machine, took = Machine.now(), []
    for _ in range(ROUNDS):
        began = time.process_time()
        count = run(chain)
        took.append((time.process_time() - began) / LENGTH * 1000)
        expect("blocks", found=count, wanted=LENGTH)
    details = {"blocks_per_s": 1000 / median(took), **spread(took)}
    return Measurement(name, median(took), "ms/block", machine, limit=limit, by_clock=False, details=details)


def _appending(chain: LongChain) -> Measurement:
    """One commit more to the long chain, compared with one more to a short one."""
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder, long_chain(Path(folder), length=SHORT) as short:
        rounds = [
            append_times(chain.node, chain.dataset, APPENDS) / append_times(short.node, short.dataset, APPENDS)
            for _ in range(ROUNDS)
        ]
    details = {**spread(rounds), "short": SHORT, "long": LENGTH}
    return Measurement("w12: append long / short", median(rounds), "x", machine, limit=APPEND_LIMIT, details=details)
