"""One supervisor for every process of an embedded node: start, watch, restart, stop.

It imports nothing heavy, so that it costs little while the node runs for months.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kamu_api.cli.node.child import Child, ProcessSpec
from kamu_api.cli.node.node_log import NodeLog
from kamu_assets.errors import UnavailableError

STOP_PATIENCE = 15.0
# Between two attempts to make anew what was lost.
RETRY_SECONDS = 5.0


class ProcessFailedError(UnavailableError):
    """A process of the node ended while the node was starting."""


@dataclass(frozen=True)
class Recovery:
    """What all processes but the first have open, and how it is made anew when it is gone."""

    is_lost: Callable[[], bool]
    preparation: ProcessSpec


class Supervisor:
    """Runs the given processes until `stop`; call `start` and `run` from the main thread only.

    The kernel ends the children with the thread that started them, so no kill of the supervisor leaves orphans.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        log: NodeLog,
        preparation: ProcessSpec | None = None,
        wanted: Callable[[], Sequence[ProcessSpec]] | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        self._log = log
        self._recovery = recovery
        # Asked often, while the node runs: there may have to be other processes than at its start.
        self._wanted = wanted or (lambda: specs)
        self._children = [Child(spec, log) for spec in specs]
        # Runs once, before all but the first.
        self._preparation = Child(preparation, log) if preparation else None
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody has asked for the end."""
        return self._stopping.is_set()

    @property
    def is_prepared(self) -> bool:
        """Whether the others may be started."""
        return self._preparation is None or self._preparation.exit_code() == 0

    def start_first(self) -> None:
        """Start the first process, and beside it what prepares the others: they wait for `start`."""
        self._children[0].start()
        if self._preparation is not None:
            self._preparation.start()

    def hurry(self) -> None:
        """Now everything waits for the preparation."""
        if self._preparation is not None:
            self._preparation.hurry()

    def start(self) -> None:
        """Start every process that has not been started, once `is_prepared`; `run` those that wait for another."""
        # It is over; in months its number may be another process's.
        self._preparation = None
        for child in self._children:
            if not child.is_started:
                child.revive()

    def check(self) -> None:
        """Raise `ProcessFailedError` if a process has ended that should go on, or if the preparation has failed."""
        for child in self._all():
            code = child.exit_code()
            if code is not None and not (child is self._preparation and code == 0):
                raise ProcessFailedError(
                    f"{child.spec.name} ended with code {code}; its last words are in {self._log.path}"
                )

    def run(self) -> None:
        """Watch until `stop`, then end everything, last started first."""
        try:
            while not self._stopping.wait(0.5):
                if self._recovery is None or not self._recovery.is_lost() or self._recovered(self._recovery):
                    self._fit(self._wanted())
                    for child in self._children:
                        child.revive()
        finally:
            self.end()

    def end(self) -> None:
        for child in reversed(self._all()):
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for child in reversed(self._all()):
            child.reap(deadline)

    def _recovered(self, recovery: Recovery) -> bool:
        """End who works on files that are gone, and make them anew; False when that did not succeed yet."""
        self._log.say("supervisor", "the home of Dagster is gone; making it anew and starting its processes again")
        others = [child for child in reversed(self._children) if child is not self._children[0]]
        for child in others:
            child.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        for child in others:
            child.pause(deadline)
        self._preparation = Child(recovery.preparation, self._log)
        self._preparation.start()
        while self._preparation.exit_code() is None and not self.is_stopping:
            self._stopping.wait(0.05)
        if self.is_prepared:
            self._preparation = None
            return True
        self._log.say("supervisor", f"it cannot be made yet; trying again in {RETRY_SECONDS:g} s")
        self._stopping.wait(RETRY_SECONDS)
        return False

    def _fit(self, specs: Sequence[ProcessSpec]) -> None:
        """End processes that are wanted no more; new ones are started as if they had ended."""
        wanted = {spec.name: spec for spec in specs}
        for child in [child for child in self._children if child.spec.name not in wanted]:
            self._log.say("supervisor", f"{child.spec.name} is no longer needed; stopping it")
            self._children.remove(child)
            child.terminate()
            child.reap(time.monotonic() + STOP_PATIENCE)
        for name in wanted.keys() - {child.spec.name for child in self._children}:
            self._children.append(Child(wanted[name], self._log))

    def _all(self) -> list[Child]:
        return [self._preparation, *self._children] if self._preparation is not None else self._children
