"""From the death of the scheduler that leads to the first flow that the one which stood by gives a run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measurement import Machine, Measurement, percentile, spread
from tests.support.postgres import fresh_database, postgres_server
from tests.support.schedulers import failover_seconds

LIMIT = 5.0
TIMES = 3


def failover() -> Iterator[Measurement]:
    """The slowest of some, with each database."""
    yield _measured("failover_on_sqlite", None)
    with postgres_server() as server, fresh_database(server) as url:
        yield _measured("failover_on_postgresql", url)


def _measured(workload: str, database_url: str | None) -> Measurement:
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder:
        seconds = failover_seconds(Path(folder), database_url=database_url, times=TIMES)
    return Measurement(workload, percentile(seconds, 1), "s", machine, limit=LIMIT, details=spread(seconds))
