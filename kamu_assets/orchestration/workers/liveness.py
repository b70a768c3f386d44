"""Which worker processes are alive: exact on this machine, by heartbeat on others."""

import os
import signal
import socket
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


def _start_of(pid: int) -> str | None:
    """When the process started, in ticks since boot (proc_pid_stat(5), field 22); None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name, in parentheses, may hold spaces and parentheses itself; the state follows it.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[_START_TIME_FIELD - 3]
