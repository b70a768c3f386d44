"""The scheduler process: of all that are started for a node one leads and works, the others stand by."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.database.leadership import Leadership
from kamu_assets.database.terms import Term, begin_term, newest_term
from kamu_assets.database.wakeups import Listener, Wakeups
from kamu_assets.errors import UnavailableError
from kamu_assets.monitoring import metrics
from kamu_assets.orchestration.scheduler.leader import ROLE
from kamu_assets.orchestration.scheduler.led_work import LedWork, Shift
from kamu_assets.orchestration.workers.liveness import end, is_stopped, own_identity

log = structlog.get_logger(__name__)

# How often one that stands by looks whether it should lead, and the leader whether it still does, which tells others
# that it lives.
STANDBY_SECONDS = 0.5
WATCH_SECONDS = 1.0
FAILED_SECONDS = 1.0


class SchedulerProcess:
    """Stands by or leads, until SIGTERM. `begin` makes the work of a term, given the database as its leader has it."""

    def __init__(
        self, *, database: Database, begin: Callable[[Database], LedWork], wakeups: Wakeups, clock: Clock
    ) -> None:
        self._database = database
        self._begin = begin
        self._wakeups = wakeups
        self._clock = clock
        self._identity = own_identity()
        self._stop = threading.Event()
        # The last that was said in the log.
        self._said = ""

    def main(self) -> None:
        """Run until SIGTERM or SIGINT; must be called from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self.run()

    def run(self) -> None:
        """Stand by and lead until `stop`."""
        metrics.SCHEDULER_LEADS.set(0)
        with self._wakeups.listen(ROLE) as listener, self._database.leadership(ROLE, lasting=True) as leadership:
            while not self._stop.is_set():
                # One that is ready to lead is well.
                metrics.SCHEDULER_STEP.set(time.time())
                listener.wait(self._stand(leadership, listener))
        # Others of this machine need not wait until they look by themselves.
        self._wakeups.notify(ROLE)

    def stop(self) -> None:
        """End `run` once every step has ended; safe in a signal handler."""
        self._stop.set()
        self._wakeups.notify(ROLE)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop()

    def _stand(self, leadership: Leadership, listener: Listener) -> float:
        """Lead if nobody does, until that is over; tells when to try again."""
        try:
            if not leadership.take():
                self._say("scheduler_stands_by")
                return STANDBY_SECONDS
            self._lead(leadership, listener)
        except UnavailableError as error:
            self._say("scheduler_cannot_lead", reason=str(error))
            return FAILED_SECONDS
        except Exception:
            log.exception("scheduler_failed_to_lead")
            return FAILED_SECONDS
        finally:
            leadership.resign()
        return 0

    def _lead(self, leadership: Leadership, listener: Listener) -> None:
        term = self._begin_term()
        work = self._begin(self._database.fenced(term.require))
        self._say("scheduler_leads", term=term.number)
        metrics.SCHEDULER_LEADS.set(1)
        try:
            with Shift(work, wakeups=self._wakeups, clock=self._clock) as shift:
                while not self._stop.is_set() and shift.is_whole and self._is_ours(term, leadership):
                    listener.wait(WATCH_SECONDS)
        finally:
            metrics.SCHEDULER_LEADS.set(0)
        self._say("scheduler_leads_no_more", term=term.number)

    def _begin_term(self) -> Term:
        try:
            with self._database.transaction() as tx:
                return begin_term(tx, ROLE, holder=self._identity, now=self._clock.now())
        except DatabaseBusyError:
            self._end_stopped_leader()
            raise

    def _end_stopped_leader(self) -> None:
        """Whoever was stopped in the middle of a transaction on SQLite keeps everybody out."""
        with self._database.reading() as tx:
            before = newest_term(tx, ROLE)
        if before is not None and is_stopped(before.holder) and end(before.holder):
            log.error("stopped_leader_ended", leader=before.holder, term=before.number)

    def _is_ours(self, term: Term, leadership: Leadership) -> bool:
        """Whether we are the leader still; if nobody can tell, we are not."""
        try:
            if not leadership.holds():
                self._say("scheduler_lost_its_lock", term=term.number)
                return False
            with self._database.reading() as tx:
                return term.is_newest(tx)
        except UnavailableError as error:
            self._say("scheduler_cannot_tell_whether_it_leads", term=term.number, reason=str(error))
            return False

    def _say(self, what: str, **facts: object) -> None:
        """Once for each change."""
        if what != self._said:
            log.info(what, process=self._identity, **facts)
        self._said = what
