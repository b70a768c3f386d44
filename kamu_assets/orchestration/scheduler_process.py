"""The scheduler process: flows on the main thread, the catalog publisher and the reporter on threads of their own."""

import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol, TypeVar

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.outbox import WAKEUP
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.flows.scheduler import FlowScheduler, seconds_until
from kamu_assets.orchestration import publisher, reporter
from kamu_assets.orchestration.place_waits import PlaceWaits
from kamu_assets.orchestration.reaper import Reaper

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

CHECK_SECONDS = 2.0
STRANDED_CHECK_SECONDS = 30.0
# What keeps the node tidy and can wait.
CHORES_SECONDS = 3600.0
# Flows go first: what is only shown may come a moment later.
COURTESY_SECONDS = 0.2
# Consumers look by themselves this often, should a wake-up be lost.
IDLE_SECONDS = 5.0


class Follower(Protocol):
    """What follows the outbox on a thread of its own."""

    def step(self) -> bool:
        """Do what is to be done now; tells whether it pays to come back soon."""
        ...


class SchedulerProcess:
    """Hosts everything that follows the outbox, until SIGTERM."""

    def __init__(
        self,
        *,
        scheduler: FlowScheduler,
        reaper: Reaper,
        waits: PlaceWaits,
        catalog: publisher.CatalogPublisher,
        reports: Follower,
        wakeups: Wakeups,
        clock: Clock,
        chores: Callable[[], object] = list,
        more: Mapping[str, Follower] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._reaper = reaper
        self._waits = waits
        self._catalog = catalog
        self._reports = reports
        self._wakeups = wakeups
        self._clock = clock
        self._chores = chores
        # By the names of their threads.
        self._more = more or {}
        self._stop = threading.Event()

    def main(self) -> None:
        """Run until SIGTERM or SIGINT; must be called from the main thread."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        followers = [
            threading.Thread(target=self._publish, name="catalog-publisher"),
            threading.Thread(target=self._follow, args=(self._reports.step, reporter.SECONDS_BETWEEN), name="reporter"),
            *(
                threading.Thread(target=self._follow, args=(each.step, 0), name=name)
                for name, each in self._more.items()
            ),
        ]
        for thread in followers:
            thread.start()
        try:
            self._schedule()
        finally:
            self._stop.set()
            self._wakeups.notify(WAKEUP)
            for thread in followers:
                thread.join()

    def _on_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop.set()
        self._wakeups.notify(WAKEUP)

    def _schedule(self) -> None:
        checked = stranded_checked = chores_done = float("-inf")
        with self._wakeups.listen(WAKEUP) as listener:
            while not self._stop.is_set():
                if time.monotonic() - stranded_checked >= STRANDED_CHECK_SECONDS:
                    stranded_checked = time.monotonic()
                    _guarded(self._reaper.requeue_stranded)
                if time.monotonic() - checked >= CHECK_SECONDS:
                    checked = time.monotonic()
                    _guarded(self._reaper.end_silent)
                    _guarded(self._reaper.bury_lost)
                    _guarded(self._scheduler.reconcile)
                    _guarded(self._scheduler.tell_who_waits)
                    _guarded(self._waits.tell)
                due = _guarded(self._scheduler.step)
                if time.monotonic() - chores_done >= CHORES_SECONDS:
                    chores_done = time.monotonic()
                    _guarded(self._chores)
                listener.wait(seconds_until(due, self._clock.now(), at_most=CHECK_SECONDS))

    def _publish(self) -> None:
        while not self._stop.is_set():
            try:
                self._catalog.load()
                break
            except Exception:
                log.exception("catalog_load_failed")
                self._stop.wait(IDLE_SECONDS)
        self._follow(self._catalog.step, publisher.SECONDS_BETWEEN)

    def _follow(self, step: Callable[[], bool], seconds_between: float) -> None:
        """Do a step at each wake-up: the first at once, the next not before so many seconds."""
        with self._wakeups.listen(WAKEUP) as listener:
            while not self._stop.is_set():
                if _guarded(step):
                    self._stop.wait(seconds_between)
                elif listener.wait(IDLE_SECONDS):
                    self._stop.wait(COURTESY_SECONDS)


def _guarded(step: Callable[[], _T]) -> _T | None:
    """One failing step must not end the others."""
    try:
        return step()
    except Exception:
        log.exception("scheduler_step_failed", step=getattr(step, "__qualname__", repr(step)))
        time.sleep(1)
        return None
