"""Workers are killed while they write slices: a push is refused or done, and the next one has a new worker."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.coordinator.service import PushData
from kamu_assets.engines.workers.limits import WorkerDiedError, WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from tests.faults.aftermath import violation_in
from tests.faults.deaths import told_by
from tests.faults.story import ids, prepare, records, ref
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, open_heart

Record = Callable[[str, object], None]
PUSHES = 40
ROWS = 500
CLIENTS = 3
KILLS = 3


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 << 20, time_seconds=120)
    found = WorkerPool(name="engine", size=2, limits=limits)
    yield found
    found.close()


class Killer(threading.Thread):
    """Kills whatever worker is at work, again and again."""

    def __init__(self, pool: WorkerPool) -> None:
        super().__init__(name="killer", daemon=True)
        self._pool = pool
        self._chance = random.Random(11)
        self.done = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self.done.wait(self._chance.uniform(0.01, 0.2)):
            working = [place.pid for place in list(self._pool._places._taken) if place.pid is not None]
            if working:
                # Another kill may have come first: the place has its process until somebody looks.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._chance.choice(working), signal.SIGKILL)
                    self.kills += 1


def test_pushes_go_on_while_workers_are_killed(tmp_path: Path, pool: WorkerPool, record_property: Record) -> None:
    prepare(tmp_path)
    heart = open_heart(tmp_path)
    coordinator = a_coordinator(heart, base=tmp_path, pool=pool)
    killer = Killer(pool)

    def push(number: int) -> bool:
        body = records(range(number * ROWS, (number + 1) * ROWS))
        try:
            return coordinator.push(ADMIN, ref("pushed"), PushData(body)).records == ROWS
        except WorkerDiedError:
            return False

    acknowledged: list[bool] = []
    began = time.monotonic()
    killer.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as clients:
            # A fast machine is done with few pushes before anybody is killed.
            while len(acknowledged) < PUSHES or (killer.kills < KILLS and time.monotonic() - began < 100):
                first = len(acknowledged)
                acknowledged.extend(clients.map(push, range(first, first + 4 * CLIENTS)))
    finally:
        killer.done.set()
        killer.join()
    again = [number for number, done in enumerate(acknowledged) if not done]
    began = time.monotonic()
    while again and time.monotonic() - began < 200:
        again = [number for number in again if not push(number)]

    record_property("worker kills", killer.kills)
    assert killer.kills >= KILLS
    assert sorted(ids(heart, "pushed")) == list(range(len(acknowledged) * ROWS))
    assert list(heart.volumes.root.staging().iterdir()) == []
    heart.database.close()
    assert told_by(violation_in, tmp_path) is None
