"""The engines of ours: whatever they compute, they compute it in worker processes."""

import threading
from collections.abc import Callable

from kamu_assets.engines.engine import (
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    TransformRequest,
    TransformResponse,
)
from kamu_assets.engines.job import RawQueryJob, TransformJob
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.worker_jobs import query_files
from kamu_assets.engines.workers.pool import WorkerPool


class PooledEngine:
    """Runs each request in a worker process: transforms by the function given, raw queries alike for all."""

    def __init__(
        self,
        pool: WorkerPool,
        run_transform: Callable[[TransformJob], TransformResponse],
        *,
        memory_bytes: int,
        encodings: Encodings = Encodings.KAMU,
    ) -> None:
        self._pool = pool
        self._run_transform = run_transform
        self._memory_bytes = memory_bytes
        self._encodings = encodings

    def transform(
        self,
        request: TransformRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> TransformResponse:
        job = TransformJob(request, self._encodings, self._memory_bytes)
        return self._pool.run(self._run_transform, job, on_progress=on_progress, cancel=cancel)

    def hash_rows(self, request: TransformRequest, *, cancel: threading.Event | None = None) -> TransformResponse:
        job = TransformJob(request, self._encodings, self._memory_bytes, hash_only=True)
        return self._pool.run(self._run_transform, job, cancel=cancel)

    def raw_query(
        self,
        request: RawQueryRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> RawQueryResponse:
        job = RawQueryJob(request, self._memory_bytes)
        return self._pool.run(query_files, job, on_progress=on_progress, cancel=cancel)
