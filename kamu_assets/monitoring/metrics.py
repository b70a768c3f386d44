"""Every metric that the node's processes keep. What the database knows is asked there when somebody looks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kamu_assets.errors import KamuError
from kamu_assets.monitoring.metric import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_BYTES = tuple(float(1 << power) for power in range(24, 36))


class Meter:
    """One kind of work: how often it was done, how long that took, and why it failed."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self._seconds = Histogram(f"{name}_seconds", f"Time of {meaning} that went well", *labels, bounds=_SECONDS)
        self._failures = Counter(f"{name}_failures", f"Failures of {meaning}", *labels, "kind")

    @contextmanager
    def measured(self, *labels: str) -> Iterator[None]:
        """Around the work."""
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            self._failures.add(*labels, _kind(error))
            raise
        self._seconds.observe(time.perf_counter() - start, *labels)


def _kind(error: Exception) -> str:
    """There are as many as classes of expected errors."""
    return type(error).__name__ if isinstance(error, KamuError) else "bug"


INGEST = Meter("ingest", "pushes and polls", "way")
INGEST_RECORDS = Counter("ingest_records", "Records in committed slices of roots")
INGEST_BYTES = Counter("ingest_bytes", "Size of committed slices of roots")
TRANSFORM = Meter("transform", "updates of derivatives")
TRANSFORM_RECORDS = Counter("transform_records", "Records that transforms committed")
# A commit that came second to another of its dataset fails as HeadMovedError.
COMMIT = Meter("commit", "commits")

# Pools: `query` reads for callers, `engine` ingests, transforms and verifies. The time includes waiting. A job that a
# limit ended fails as MemoryLimitError, TimeLimitError or ResultLimitError, one whose process died as WorkerDiedError
# or AbortedError.
JOB = Meter("job", "jobs in worker processes", "pool")
JOBS_RUNNING = Gauge("jobs_running", "Jobs that have a worker process", "pool")
JOBS_WAITING = Gauge("jobs_waiting", "Jobs that wait for a worker process", "pool")
JOB_PEAK_BYTES = Histogram("job_peak_bytes", "Most memory that a job was seen to hold", "pool", bounds=_BYTES)
QUERY_ROWS = Counter("query_rows", "Rows of answers")
# By where they come from and how they end, waiting included.
QUERY_SECONDS = Histogram("query_seconds", "Time of queries", "door", "state", bounds=_SECONDS)
QUERY_RECORDS_DROPPED = Counter("query_records_dropped", "Queries that are missing in their history")

RUNS_STARTED = Counter("runs_started", "Runs that a worker began")
RUNS_ENDED = Counter("runs_ended", "Flows that ended", "outcome")
# Each delivery may be tried several times.
WEBHOOK_ATTEMPTS = Counter("webhook_attempts", "Attempts to tell receivers of webhooks", "outcome")
WEBHOOKS_STOPPED = Counter("webhooks_stopped", "Receivers of webhooks that were given up")
DATABASE_WAITS = Counter("database_waits", "Times that the database server had no connection left and was waited for")

# One that stands by looks whether it should lead.
SCHEDULER_STEP = Gauge("scheduler_last_step_timestamp_seconds", "When the scheduler last looked for work")
SCHEDULER_LEADS = Gauge("scheduler_leads", "1 for the one scheduler that leads, 0 for those that stand by")

HTTP_REQUESTS = Counter(
    "http_requests", "Answered requests; status 0: the client left before", "method", "route", "status"
)
HTTP_SECONDS = Histogram("http_request_seconds", "Time of requests", "method", "route", bounds=_SECONDS)
