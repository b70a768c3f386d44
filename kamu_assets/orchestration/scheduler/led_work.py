"""What the leader among the schedulers of a node does, on threads of its own: flows, the catalog, reports."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeVar

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.outbox import WAKEUP
from kamu_assets.database.terms import DeposedError
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.errors import UnavailableError
from kamu_assets.flows.scheduling.scheduler import FlowScheduler, seconds_until
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.catalog import publisher
from kamu_assets.orchestration.reports import reporter
from kamu_assets.orchestration.workers.place_waits import PlaceWaits
from kamu_assets.orchestration.workers.reaper import Reaper

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

CHECK_SECONDS = 2.0
STRANDED_CHECK_SECONDS = 30.0
# What keeps the node tidy and can wait.
CHORES_SECONDS = 3600.0
# Flows go first, also when a term begins: what is only shown may come a moment later.
COURTESY_SECONDS = 0.2
FIRST_STEP_SECONDS = 30.0
# Consumers look by themselves this often, should a wake-up be lost.
IDLE_SECONDS = 5.0
FAILED_SECONDS = 1.0


class Follower(Protocol):
    """What follows the outbox on a thread of its own."""

    def step(self) -> bool:
        """Do what is to be done now; tells whether it pays to come back soon."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LedWork:
    """Made anew for each term: what one leader knows of its work says nothing after others have led."""

    scheduler: FlowScheduler
    reaper: Reaper
    waits: PlaceWaits
    catalog: publisher.CatalogPublisher
    reports: Follower
    # Each for itself.
    chores: Sequence[Callable[[], object]] = ()
    # By the names of their threads.
    more: Mapping[str, Follower] = field(default_factory=dict)


class Shift:
    """Does the work between `__enter__` and `__exit__`, which waits until every step has ended."""

    def __init__(self, work: LedWork, *, wakeups: Wakeups, clock: Clock) -> None:
        self._work = work
        self._wakeups = wakeups
        self._clock = clock
        self._over = threading.Event()
        self._flows_begun = threading.Event()
        self._checks = {
            STRANDED_CHECK_SECONDS: (work.reaper.requeue_stranded,),
            CHECK_SECONDS: (
                work.reaper.end_silent,
                work.reaper.bury_lost,
                work.scheduler.reconcile,
                work.scheduler.tell_who_waits,
                work.waits.tell,
            ),
        }
        # When each was last done.
        self._checked = dict.fromkeys(self._checks, float("-inf"))
        later: dict[str, Callable[[], None]] = {
            "chores": self._tidy,
            "catalog-publisher": self._publish,
            "reporter": partial(self._follow, work.reports.step, reporter.SECONDS_BETWEEN),
            **{name: partial(self._follow, each.step, 0) for name, each in work.more.items()},
        }
        targets = {"flows": self._schedule, **{name: partial(self._later, target) for name, target in later.items()}}
        self._threads = [
            threading.Thread(target=self._run, args=(target,), name=name) for name, target in targets.items()
        ]

    def __enter__(self) -> Self:
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:
            # There may be no more of them. It is not whole, and ends in a moment.
            log.exception("scheduler_thread_not_started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._flows_begun.set()
        self._wakeups.notify(WAKEUP)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    @property
    def is_whole(self) -> bool:
        """Whether all of its threads live: none ends by itself."""
        return all(thread.is_alive() for thread in self._threads)

    def _run(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception:
            log.exception("scheduler_thread_failed", thread=threading.current_thread().name)

    def _schedule(self) -> None:
        with self._wakeups.listen(WAKEUP) as listener:
            while not self._over.is_set():
                due = self._begin_flows()
                self._flows_begun.set()
                for check in self._due_checks():
                    self._guarded(check, rests=False)
                    # Nobody's flow waits for all of them.
                    if listener.wait(0):
                        due = self._begin_flows()
                listener.wait(seconds_until(due, self._clock.now(), at_most=CHECK_SECONDS))

    def _begin_flows(self) -> Timestamp | None:
        """Tells when to come back: at once where it failed."""
        return self._guarded(self._work.scheduler.step, failed=self._clock.now())

    def _due_checks(self) -> Iterator[Callable[[], object]]:
        for seconds, checks in self._checks.items():
            if time.monotonic() - self._checked[seconds] >= seconds:
                self._checked[seconds] = time.monotonic()
                yield from checks

    def _tidy(self) -> None:
        while not self._over.is_set():
            for chore in self._work.chores:
                self._guarded(chore)
            self._over.wait(CHORES_SECONDS)

    def _later(self, work: Callable[[], None]) -> None:
        self._flows_begun.wait(FIRST_STEP_SECONDS)
        work()

    def _publish(self) -> None:
        while not self._over.is_set():
            try:
                self._work.catalog.load()
                break
            except Exception:
                log.exception("catalog_load_failed")
                self._over.wait(IDLE_SECONDS)
        self._follow(self._work.catalog.step, publisher.SECONDS_BETWEEN)

    def _follow(self, step: Callable[[], bool], seconds_between: float) -> None:
        """Do a step at each wake-up: the first at once, the next not before so many seconds."""
        with self._wakeups.listen(WAKEUP) as listener:
            while not self._over.is_set():
                if self._guarded(step):
                    self._over.wait(seconds_between)
                elif listener.wait(IDLE_SECONDS):
                    self._over.wait(COURTESY_SECONDS)

    def _guarded(self, step: Callable[[], _T | None], *, failed: _T | None = None, rests: bool = True) -> _T | None:
        """One failing step must not end the others; none begins once the shift is over."""
        if self._over.is_set():
            return None
        try:
            return step()
        except DeposedError as error:
            # Whoever watches over the term ends it in a moment.
            log.warning("scheduler_step_came_too_late", reason=str(error))
        except UnavailableError as error:
            log.warning("scheduler_step_has_to_wait", step=_name(step), reason=str(error))
        except Exception:
            log.exception("scheduler_step_failed", step=_name(step))
        if rests:
            self._over.wait(FAILED_SECONDS)
        return failed


def _name(step: Callable[[], object]) -> str:
    return getattr(step, "__qualname__", repr(step))
