"""What processes cost, read from /proc: who descends from whom, memory, processor time (proc_pid_stat(5))."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One line of /proc: times are of the process itself and of the children it has waited for."""

    pid: int
    parent: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Resident pages, and the same with shared pages divided among those who share them."""

    rss: int
    pss: int


def parse_stat(text: str) -> ProcessStat:
    """Read the text of /proc/<pid>/stat; the command name, in parentheses, may hold anything."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    # Fields 14 to 17 of the manual: user and system time, and those of waited-for children.
    ticks = sum(int(field) for field in fields[11:15])
    return ProcessStat(int(head.split()[0]), int(fields[1]), ticks / _TICKS)


def parse_rollup(text: str) -> ProcessMemory:
    """Read the text of /proc/<pid>/smaps_rollup."""
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines()[1:]}
    return ProcessMemory(rss=sizes["Rss"], pss=sizes["Pss"])


def stat_of(pid: int) -> ProcessStat | None:
    """None when the process is gone."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def memory_of(pid: int) -> ProcessMemory:
    """Nothing when the process is gone."""
    try:
        return parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        return ProcessMemory(0, 0)


def arguments_of(pid: int) -> tuple[str, ...]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0"))


def all_processes() -> list[ProcessStat]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [stat for stat in map(stat_of, pids) if stat is not None]


def descendants(pid: int, among: list[ProcessStat]) -> Iterator[ProcessStat]:
    """The process's children, their children, and so on."""
    for stat in among:
        if stat.parent == pid:
            yield stat
            yield from descendants(stat.pid, among)
