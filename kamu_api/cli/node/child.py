"""One process of the node, as the supervisor keeps it: start, watch, start again, end."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kamu_api.cli.node.node_log import NodeLog

RESTART_DELAYS = (0.2, 1.0, 5.0, 15.0)
HEALTHY_AFTER = 60.0
LISTEN_PATIENCE = 60.0
_LAST_WORDS_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessSpec:
    """What to start. Each process leads its own group, so that stopping it stops what it started."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    # How far it stands back behind the others (setpriority(2)).
    niceness: int = 0
    # Host and port of one that it talks to: it is started when that listens, or after `LISTEN_PATIENCE`.
    after: tuple[str, int] | None = None


class Child:
    """Runs while the node runs; call `start` and `revive` from the main thread only."""

    def __init__(self, spec: ProcessSpec, log: NodeLog) -> None:
        self.spec = spec
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._follower: threading.Thread | None = None
        self._started = 0.0
        self._deaths = 0
        self._next_start = 0.0
        self._waits_since: float | None = None
        self._hurries = False

    def start(self) -> None:
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            self.spec.argv,
            env={**os.environ, **self.spec.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_prepare_child, self.spec.niceness),  # noqa: PLW1509 - few system calls, made before any thread of ours matters
        )
        self._follower = threading.Thread(
            target=self._log.follow, args=(self.spec.name, self._process.stdout), daemon=True
        )
        self._follower.start()

    @property
    def is_started(self) -> bool:
        return self._process is not None

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def hurry(self) -> None:
        """Let it stand back no more, as far as we may: on a busy machine it could stand back for ever."""
        if self._process is not None and self._process.poll() is None and not self._hurries:
            self._hurries = True
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, 0)
            with contextlib.suppress(OSError):
                Path(f"/proc/{self._process.pid}/autogroup").write_text("0", encoding="ascii")

    def revive(self) -> None:
        """Start the process if it is not running: at once for the first time, later each time it ends early."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._note_death(code)
        if time.monotonic() >= self._next_start and self._may_start():
            self.start()

    def _may_start(self) -> bool:
        """Whether the process that it talks to listens: it would complain at length of one that does not yet."""
        now = time.monotonic()
        self._waits_since = now if self._waits_since is None else self._waits_since
        if self.spec.after is None or _listens(self.spec.after) or now - self._waits_since > LISTEN_PATIENCE:
            self._waits_since = None
            return True
        return False

    def _note_death(self, code: int) -> None:
        now = time.monotonic()
        self._deaths = 0 if now - self._started > HEALTHY_AFTER else self._deaths + 1
        delay = RESTART_DELAYS[min(self._deaths, len(RESTART_DELAYS) - 1)]
        self._log.say("supervisor", f"{self.spec.name} ended with code {code}; starting it again in {delay:g} s")
        self._kill_group()
        self._process = None
        self._next_start = now + delay

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def reap(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._log.say("supervisor", f"{self.spec.name} does not stop; killing it")
        self._kill_group()
        self._process.wait()
        if self._follower is not None:
            # Its last words; who has left the group may hold the pipe open for ever.
            self._follower.join(_LAST_WORDS_SECONDS)

    def pause(self, deadline: float) -> None:
        """End it, so that `revive` starts it again: it has done nothing wrong."""
        self.reap(deadline)
        self._process = None
        self._deaths, self._next_start = 0, 0.0

    def _kill_group(self) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _prepare_child(niceness: int) -> None:
    """End with the parent. Hear interrupts even if the parent, started in the background, ignores them.

    Dagster's processes handle SIGTERM as they handle SIGINT: ignoring one they would ignore both.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if niceness:
        os.nice(niceness)
        # Where each session is a group of its own, only the group's niceness counts (sched(7)).
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
