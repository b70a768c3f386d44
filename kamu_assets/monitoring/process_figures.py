"""What the system knows of processes (proc(5)): who started whom, how long they run, what they use."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Positions behind the command in /proc/<pid>/stat.
_PARENT, _CPU_TIMES, _START = 1, slice(11, 15), 19


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process at one moment."""

    pid: int
    parent: int
    uptime_seconds: float
    # Its own, and that of ended children it has taken leave of.
    cpu_seconds: float
    # Files that are mapped do not count.
    memory_bytes: int


def all_processes() -> list[ProcessFigures]:
    """Those of this machine, or container."""
    numbers = (int(name) for name in os.listdir(_PROC) if name.isdigit())  # noqa: PTH208 - a path for each would cost more
    # One moment for all, or those that are read later would seem to run longer.
    now = _now()
    return [found for pid in numbers if (found := process_figures(pid, now=now)) is not None]


def process_figures(pid: int, *, now: float | None = None) -> ProcessFigures | None:
    """None when it is gone, or a zombie. `now` is in seconds since the system started."""
    try:
        stat = (_PROC / f"{pid}/stat").read_text(encoding="utf-8", errors="replace")
        memory = (_PROC / f"{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return None
    # The command, in parentheses, may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return ProcessFigures(
        pid=pid,
        parent=int(fields[_PARENT]),
        uptime_seconds=max(0.0, (_now() if now is None else now) - int(fields[_START]) / _TICKS),
        cpu_seconds=sum(int(ticks) for ticks in fields[_CPU_TIMES]) / _TICKS,
        memory_bytes=(int(memory[1]) - int(memory[2])) * _PAGE_BYTES,
    )


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def arguments(pid: int) -> tuple[str, ...]:
    """How it was started; nothing when it is gone."""
    try:
        text = (_PROC / f"{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in text.removesuffix(b"\0").split(b"\0"))


def named_children(
    parent: int, commands: Iterable[tuple[str, Sequence[str]]], among: list[ProcessFigures]
) -> list[tuple[str, ProcessFigures]]:
    """The children of a process by the names that their commands have; of several started alike, the oldest first."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, command in commands:
        names.setdefault(tuple(command), []).append(name)
    children = sorted(
        (each for each in among if each.parent == parent), key=lambda each: (-each.uptime_seconds, each.pid)
    )
    known = ((names.get(arguments(child.pid)), child) for child in children)
    return [(free.pop(0), child) for free, child in known if free]


def family(pid: int, among: list[ProcessFigures]) -> Iterator[ProcessFigures]:
    """A process and all that it has started, directly or not."""
    yield from (each for each in among if each.pid == pid)
    for child in [each.pid for each in among if each.parent == pid]:
        yield from family(child, among)
