"""What processes use, and whose they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kamu_assets.monitoring.process_figures import all_processes, arguments, family, named_children, process_figures

_HOLD = "held = bytearray({size}); print('ready', flush=True); import time; time.sleep(600)"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_HOLD.format(size=1)!r}])"
_MIB = 1 << 20


@contextmanager
def a_process(program: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            os.killpg(process.pid, 9)


def test_memory_that_is_held_counts() -> None:
    with a_process(_HOLD.format(size=64 * _MIB)) as large, a_process(_HOLD.format(size=1)) as small:
        figures = process_figures(large.pid), process_figures(small.pid)

    assert figures[0] is not None
    assert figures[1] is not None
    assert figures[0].memory_bytes - figures[1].memory_bytes > 60 * _MIB
    assert figures[0].parent == os.getpid()
    assert 0 <= figures[0].uptime_seconds < 600


def test_a_family_is_a_process_and_all_below_it() -> None:
    with a_process(_PARENT) as parent:
        among = all_processes()
        (child,) = (each.pid for each in among if each.parent == parent.pid)

        assert [each.pid for each in family(parent.pid, among)] == [parent.pid, child]
        assert {parent.pid, child} < {each.pid for each in family(os.getpid(), among)}


def test_children_have_the_names_of_their_commands_the_oldest_first() -> None:
    program = _HOLD.format(size=1)
    commands = [("worker-1", (sys.executable, "-c", program)), ("worker-2", (sys.executable, "-c", program))]
    with ExitStack() as stack:
        pids = [stack.enter_context(a_process(program)).pid for _ in range(2)]
        stack.enter_context(a_process(_PARENT))

        found = named_children(os.getpid(), commands, all_processes())

    assert [(name, each.pid) for name, each in found] == [("worker-1", pids[0]), ("worker-2", pids[1])]


def test_all_are_seen_at_one_moment() -> None:
    with a_process(_HOLD.format(size=1)) as older, a_process(_HOLD.format(size=1)) as newer:
        uptimes = {each.pid: each.uptime_seconds for each in all_processes()}
        at_a_time = process_figures(older.pid, now=1e9), process_figures(newer.pid, now=1e9)

    assert uptimes[older.pid] >= uptimes[newer.pid]
    assert at_a_time[0] is not None
    assert at_a_time[1] is not None
    seen = at_a_time[0].uptime_seconds - at_a_time[1].uptime_seconds
    assert abs(uptimes[older.pid] - uptimes[newer.pid] - seen) < 1e-3


def test_the_dead_use_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert process_figures(process.pid) is None
    process.wait()
    assert process_figures(process.pid) is None
    assert arguments(process.pid) == ()
