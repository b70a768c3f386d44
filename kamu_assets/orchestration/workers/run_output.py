"""What the engines of a run print, as events of the run's log in Dagster."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from dagster import DagsterInstance, DagsterRun
from dagster._core.events import EngineEventData

from kamu_assets.engines.workers.hearing import JOB_ENDED, hearing
from kamu_assets.monitoring.secrets import without_secrets
from kamu_assets.orchestration.names import METADATA_ENGINE_OUTPUT

log = structlog.get_logger(__name__)

LINE_CHARACTERS = 2_000
# What is told as it comes; of all that follows only the end is told, at the end.
HEAD_CHARACTERS = 256 * 1024
TAIL_CHARACTERS = 64 * 1024
# Lines that come together are one event.
GATHER_SECONDS = 0.5
_EVENT_CHARACTERS = 16 * 1024
# No secret is longer: so much before the end of what is kept of a line may be a part of one.
_SECRET_CHARACTERS = 4096
# Of a line that does not end.
_LINE_BYTES = 4 * (LINE_CHARACTERS + _SECRET_CHARACTERS)


@contextmanager
def captured(instance: DagsterInstance, run: DagsterRun, *, tell: Callable[[], object]) -> Iterator[None]:
    """Keep what engines print during the block, and `tell` each time that there is more to read."""

    def keep(text: str) -> None:
        marked = EngineEventData(metadata={METADATA_ENGINE_OUTPUT: True})
        instance.report_engine_event(text, run, marked)
        tell()

    output = RunOutput(keep)
    try:
        with hearing(output.hear):
            yield
    finally:
        output.close()


class RunOutput:
    """Cuts bytes into lines of a limited length, and keeps a limited number of them."""

    def __init__(self, keep: Callable[[str], object]) -> None:
        self._keep = keep
        # Workers are waited for on several threads; what they print is kept on one more.
        self._lock = threading.Lock()
        self._line = bytearray()
        self._gathered: list[str] = []
        self._room = HEAD_CHARACTERS
        self._tail: deque[str] = deque()
        self._tail_characters = 0
        self._left_out = 0
        self._timer: threading.Timer | None = None

    def hear(self, printed: bytes) -> None:
        """Some more of what an engine prints."""
        with self._lock:
            if printed == JOB_ENDED:
                self._flush()
                return
            *ended, begun = printed.split(b"\n")
            for part in ended:
                self._extend(part)
                self._end_line()
            self._extend(begun)
            self._plan()

    def close(self) -> None:
        """Nothing more is printed: keep what is still here."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._line:
                self._end_line()
            if self._left_out:
                self._gathered.append(f"… ({self._left_out} lines left out)")
            self._gathered.extend(self._tail)
            self._flush()

    def _extend(self, part: bytes) -> None:
        self._line += part[: _LINE_BYTES - len(self._line)]

    def _end_line(self) -> None:
        text = without_secrets(self._line.decode(errors="replace").rstrip("\r"))
        if len(self._line) >= _LINE_BYTES:
            text = text[:-_SECRET_CHARACTERS]
        self._line.clear()
        line = text if len(text) <= LINE_CHARACTERS else f"{text[:LINE_CHARACTERS]}…"
        self._room -= len(line) + 1
        if self._room >= 0:
            self._gathered.append(line)
        else:
            self._put_aside(line)

    def _put_aside(self, line: str) -> None:
        self._tail.append(line)
        self._tail_characters += len(line) + 1
        while self._tail_characters > TAIL_CHARACTERS:
            self._tail_characters -= len(self._tail.popleft()) + 1
            self._left_out += 1

    def _plan(self) -> None:
        if self._gathered and self._timer is None:
            self._timer = threading.Timer(GATHER_SECONDS, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._flush()

    def _flush(self) -> None:
        """Events of a size that people and pages can take."""
        text: str | None = None
        for line in self._gathered:
            if text is not None and len(text) + len(line) > _EVENT_CHARACTERS:
                self._tell(text)
                text = None
            text = line if text is None else f"{text}\n{line}"
        if text is not None:
            self._tell(text)
        self._gathered = []

    def _tell(self, text: str) -> None:
        try:
            self._keep(text)
        except Exception:
            # A database that is away must not keep an engine from its work.
            log.exception("engine_output_lost", characters=len(text))
