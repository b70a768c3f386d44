"""One readable log of all processes of a node."""

import contextlib
import errno
import json
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO, Any

from kamu_assets.monitoring.secrets import SecretHider

_TO_MILLISECONDS = len("2026-01-02T03:04:05.678")
# Dagster's programs colour what they say, wherever it goes (ECMA-48, SGR).
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What has a place of its own in a line for people.
_TOLD_APART = {"event", "level", "timestamp", "process", "exception"}


class NodeLog:
    """One log of all processes, in the file and on a console if there is one.

    `<time> <process> | <line>` for people, or an object per line. Some processes log what is not ours: secrets are
    hidden here, too.
    """

    def __init__(
        self,
        path: Path,
        *,
        console: Callable[[str], None] | None = None,
        max_bytes: int = 64 << 20,
        as_json: bool = False,
        secrets: Iterable[str] = (),
    ) -> None:
        self.path = path
        self._console = console
        self._max_bytes = max_bytes
        self._stamped = _as_object if as_json else _as_text
        self._hider = SecretHider(secrets)
        self._lock = threading.Lock()
        self._lost = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._opened()

    def say(self, name: str, line: str) -> None:
        with self._lock:
            self._write(self._stamped(name, self._hider.hide(_COLOURS.sub("", line))))

    def follow(self, name: str, stream: IO[bytes]) -> None:
        """Copy a process's output until it ends."""
        with stream:
            for line in stream:
                self.say(name, line.decode("utf-8", "replace").rstrip())

    def _write(self, text: str) -> None:
        """A full disk costs lines of the log, not the node: processes block when nobody reads what they say."""
        if self._console:
            with contextlib.suppress(OSError):
                self._console(text)
        try:
            self._rotate()
            if self._lost:
                self._append("\n" + self._stamped("supervisor", f"{self._lost} lines are lost: the disk took none"))
                self._lost = 0
            self._append(text)
        except OSError:
            self._lost += 1

    def _append(self, text: str) -> None:
        line = f"{text}\n".encode()
        if self._file.write(line) < len(line):
            raise OSError(errno.ENOSPC, "only a part of a line was written")

    def _rotate(self) -> None:
        if self._file.tell() < self._max_bytes:
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self.path.with_suffix(".log.1"))
        full, self._file = self._file, self._opened()
        full.close()

    def _opened(self) -> FileIO:
        return self.path.open("ab", buffering=0)


def _as_text(name: str, line: str) -> str:
    event = _event_in(line)
    return f"{_now()} {name:<10} | {line}" if event is None else _event_as_text(name, event)


def _event_as_text(name: str, event: dict[str, Any]) -> str:
    """`<what> <field>=<value> …`, after its level where that is not the usual one, before its stack trace."""
    rest = {field: value for field, value in event.items() if field not in _TOLD_APART}
    level = event.get("level", "info")
    what = event["event"] if level == "info" else f"{level}: {event['event']}"
    fields = [f"{field}={_field_as_text(value)}" for field, value in rest.items()]
    trace = [f"\n{event['exception']}"] if event.get("exception") else []
    moment = f"{str(event['timestamp'])[:_TO_MILLISECONDS]}Z" if event.get("timestamp") else _now()
    return f"{moment} {name:<10} | " + " ".join([str(what), *fields]) + "".join(trace)


def _field_as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text) if isinstance(value, str) and (not text or any(sign.isspace() for sign in text)) else text


def _as_object(name: str, line: str) -> str:
    """What is an event already only learns which process it comes from."""
    event = _event_in(line) or {"event": line, "level": "info", "timestamp": _now()}
    return json.dumps({**event, "process": name}, ensure_ascii=False)


def _event_in(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
