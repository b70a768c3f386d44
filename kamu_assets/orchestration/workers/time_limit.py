"""How long a run may take, and the watch beside it that stops it then."""

import math
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import structlog
from dagster import DagsterRun
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from kamu_assets.errors import InvalidError

log = structlog.get_logger(__name__)

SETTING = "dagster.run_time_limit_seconds"
# Between the interrupt and the end of the whole process, for a run that does not listen.
GRACE_SECONDS = 30.0


class BadTimeLimitError(InvalidError):
    """The run's tag names no time."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"run tag {MAX_RUNTIME_SECONDS_TAG}={text!r} is no number of seconds above 0;"
            f" without the tag, setting {SETTING} holds"
        )


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """The most seconds a run may take, and what said so."""

    seconds: float
    source: str

    @property
    def message(self) -> str:
        """For whoever wonders why the run ended."""
        return (
            f"the run was stopped after {self.seconds:g} s, the time limit of {self.source};"
            " raise it if the work needs longer. What was committed before stays"
        )


def limit_of(run: DagsterRun, *, setting_seconds: float) -> TimeLimit:
    """The limit of the run's own tag, else that of the setting; BadTimeLimitError when the tag makes no sense."""
    text = run.tags.get(MAX_RUNTIME_SECONDS_TAG)
    if text is None:
        return TimeLimit(setting_seconds, f"setting {SETTING}")
    seconds = _number(text)
    if seconds is None or not 0 < seconds < math.inf:
        raise BadTimeLimitError(text)
    return TimeLimit(seconds, f"its tag {MAX_RUNTIME_SECONDS_TAG} (without the tag: setting {SETTING})")


class Watch:
    """A context around a run on the main thread, which is interrupted when its time is over.

    A run that goes on in spite of that goes down with its process: nobody else could have the worker otherwise.
    """

    def __init__(self, limit: TimeLimit, *, tell: Callable[[str], object], grace: float = GRACE_SECONDS) -> None:
        self._limit = limit
        # Says why before it happens.
        self._tell = tell
        self._grace = grace
        self._ended = threading.Event()
        # Held while the run is interrupted or ends, so that an interrupt never hits what comes after it.
        self._turn = threading.Lock()
        self.expired = False

    def __enter__(self) -> Self:
        try:
            threading.Thread(target=self._watch, name="run-time-limit", daemon=True).start()
        except KeyboardInterrupt:
            self._ended.set()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._turn:
                self._ended.set()
        finally:
            # The interrupt may have come while the turn was waited for.
            self._ended.set()

    def _watch(self) -> None:
        if self._ended.wait(min(self._limit.seconds, threading.TIMEOUT_MAX)):
            return
        with self._turn:
            if self._ended.is_set():
                return
            self.expired = True
            self._say_why()
            os.kill(os.getpid(), signal.SIGINT)
        if not self._ended.wait(self._grace):
            log.error("run_ignored_its_time_limit", seconds=self._limit.seconds, grace=self._grace)
            os.kill(os.getpid(), signal.SIGKILL)

    def _say_why(self) -> None:
        try:
            self._tell(self._limit.message)
        except Exception:
            # The run must end even if that cannot be told now.
            log.exception("time_limit_not_told")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
