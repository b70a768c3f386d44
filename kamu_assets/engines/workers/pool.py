"""Heavy and hostile work happens in child processes that can be limited, killed and replaced.

pool = WorkerPool(name="query", size=2, limits=WorkerLimits(memory_bytes=1 << 30, time_seconds=60))
answer = pool.run(run_query, QueryJob(...))         # `run_query` is a module-level function
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from kamu_assets.engines.workers.job_figures import JobFigures
from kamu_assets.engines.workers.limits import MIB, PoolBusyError, PoolClosedError, WorkerLimits
from kamu_assets.engines.workers.nursery import lease_nursery, return_nursery
from kamu_assets.engines.workers.places import JobEvictedError, Place, Places
from kamu_assets.engines.workers.preload import WORKER_MODULES
from kamu_assets.engines.workers.worker import Job, Worker
from kamu_assets.monitoring import metrics

Req = TypeVar("Req")
Res = TypeVar("Res")

_IDLE_SECONDS = 60.0
_FRESH_BYTES = 256 * MIB


class WorkerPool:
    """Up to `size` workers, started when needed; callers beyond that wait, callers beyond `max_waiting` are refused.

    With `patience`, jobs that run for more seconds give way to newcomers (see `places`); they may then run twice, so
    running them must change nothing. Safe to use from any number of threads. An idle pool costs no CPU.
    """

    def __init__(
        self,
        *,
        name: str,
        size: int,
        limits: WorkerLimits,
        preload: tuple[str, ...] = WORKER_MODULES,
        max_waiting: int = 64,
        min_idle: int = 1,
        idle_seconds: float = _IDLE_SECONDS,
        network: bool = False,
        patience: float | None = None,
    ) -> None:
        self._name = name
        self._size = size
        self._limits = limits
        self._min_idle = min_idle
        self._idle_seconds = idle_seconds
        self._network = network
        self._nursery = lease_nursery(preload)
        self._places = Places(name, size, max_waiting=max_waiting, patience=patience)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._closed = False
        self._renewal: threading.Timer | None = None
        self._last_use = time.monotonic()

    def run(
        self,
        job: Callable[[Req], Res],
        request: Req,
        *,
        limits: WorkerLimits | None = None,
        on_progress: Callable[[Any], None] | None = None,
        on_ask: Callable[[Any], Any] | None = None,
        cancel: threading.Event | None = None,
        owner: str | None = None,
        figures: JobFigures | None = None,
    ) -> Res:
        """Run `job(request)` in a worker and give its result; a `KamuError` it raises is raised here.

        Owners with few jobs come before those with many.
        """
        figures = figures or JobFigures()
        with metrics.JOB.measured(self._name):
            place = self._take(figures, cancel, owner=owner)
            while True:
                call = Job(
                    job,
                    request,
                    limits=limits or self._limits,
                    on_progress=on_progress,
                    on_ask=on_ask,
                    cancel=cancel,
                    place=place,
                )
                try:
                    result: Res = self._run(call, figures)
                except JobEvictedError:
                    place = self._take(figures, cancel, owner=owner, slow=True)
                else:
                    return result

    @property
    def is_refusing(self) -> bool:
        """Whether all workers are busy and as many callers wait as may."""
        return self._places.is_refusing

    def warm_up(self, workers: int = 1) -> None:
        """Start idle workers now, so that the first job need not wait for one."""
        places = [self._places.take(None) for _ in range(min(workers, self._size))]
        for place, worker in [(place, self._worker(place)) for place in places]:
            self._give_back(place, worker)

    def close(self) -> None:
        """Kill the idle workers; a running job ends with its worker."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
            if self._renewal is not None:
                self._renewal.cancel()
        self._places.close()
        for worker in idle:
            worker.end()
        return_nursery(self._nursery)

    def _take(
        self, figures: JobFigures, cancel: threading.Event | None, *, owner: str | None, slow: bool = False
    ) -> Place:
        start = time.monotonic()
        try:
            return self._places.take(cancel, slow=slow, owner=owner)
        finally:
            figures.waited_seconds += time.monotonic() - start

    def _run(self, call: Job, figures: JobFigures) -> Any:
        worker = self._worker(call.place)
        try:
            return worker.run(call)
        finally:
            peak_bytes = worker.peak_bytes()
            figures.peak_bytes = max(figures.peak_bytes, peak_bytes)
            metrics.JOB_PEAK_BYTES.observe(peak_bytes, self._name)
            self._give_back(call.place, worker)

    def _worker(self, place: Place) -> Worker:
        """An idle worker for a place, or a new one."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        try:
            if worker is not None and not worker.is_alive():
                worker.end()
                worker = None
            worker = worker or Worker(self._name, self._nursery, network=self._network)
        except BaseException:
            self._places.give_back(place)
            raise
        place.pid = worker.pid
        return worker

    def _give_back(self, place: Place, worker: Worker) -> None:
        # A worker that once needed much keeps much: allocators rarely return memory. A slow one stays slow.
        keep = worker.usable and not place.is_slow and worker.resident_bytes() <= _FRESH_BYTES
        with self._lock:
            keep = keep and not self._closed
            if keep:
                self._idle.append(worker)
                self._last_use = time.monotonic()
                self._plan_renewal()
        self._places.give_back(place)
        if not keep:
            worker.end()

    def _plan_renewal(self) -> None:
        if self._renewal is None and not self._closed and (len(self._idle) > self._min_idle or self._any_used()):
            self._renewal = threading.Timer(self._idle_until() - time.monotonic(), self._renew)
            self._renewal.daemon = True
            self._renewal.start()

    def _idle_until(self) -> float:
        """When the pause is long enough if nobody comes."""
        return self._last_use + self._idle_seconds

    def _renew(self) -> None:
        """In a pause, replace workers that hold what their jobs touched by fresh ones, `min_idle` of them."""
        with self._lock:
            self._renewal = None
            if time.monotonic() < self._idle_until():
                self._plan_renewal()
                return
            used = [worker for worker in self._idle if not worker.is_fresh]
            fresh = [worker for worker in self._idle if worker.is_fresh]
            surplus, self._idle = fresh[self._min_idle :], fresh[: self._min_idle]
        for worker in (*used, *surplus):
            worker.end()
        with suppress(PoolClosedError, PoolBusyError):
            self.warm_up(self._min_idle)

    def _any_used(self) -> bool:
        return any(not worker.is_fresh for worker in self._idle)


__all__ = ["WorkerLimits", "WorkerPool"]
