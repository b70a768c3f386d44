"""Which worker processes are alive: exact on this machine, by heartbeat on others."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

HEARTBEAT_SECONDS = 5
_SILENT_SECONDS = 30
_START_TIME_FIELD = 22


def own_identity() -> str:
    """`host:pid:start`: no later process has the same, even if the system reuses the pid."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_of(os.getpid())}"


def is_alive(identity: str, heartbeat: Timestamp, now: Timestamp) -> bool:
    host, pid, start = identity.rsplit(":", 2)
    if host == socket.gethostname():
        return _start_of(int(pid)) == start
    return now.ns - heartbeat.ns < _SILENT_SECONDS * NANOS_PER_SECOND


def end(identity: str) -> bool:
    """Kill a process of this machine, stopped ones too; False when it is gone, or elsewhere."""
    host, pid, start = identity.rsplit(":", 2)
    if host != socket.gethostname() or _start_of(int(pid)) != start:
        return False
    os.kill(int(pid), signal.SIGKILL)
    return True


def is_stopped(identity: str) -> bool:
    """Whether it is a process of this machine that a signal has stopped; it may go on."""
    host, pid, start = identity.rsplit(":", 2)
    fields = _stat_of(int(pid)) if host == socket.gethostname() else None
    return fields is not None and fields[0] == "T" and fields[_START_TIME_FIELD - 3] == start


def _start_of(pid: int) -> str | None:
    """When the process started, in ticks since boot; None when it is gone or a zombie."""
    fields = _stat_of(pid)
    return None if fields is None or fields[0] in "ZX" else fields[_START_TIME_FIELD - 3]


def _stat_of(pid: int) -> Sequence[str] | None:
    """Its state and what follows (proc_pid_stat(5), from field 3 on); None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name before, in parentheses, may hold spaces and parentheses itself.
    return text.rpartition(")")[2].split()
