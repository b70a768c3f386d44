from __future__ import annotations

import os
import subprocess
import sys

from tests.support.process_tree import (
    ProcessMemory,
    ProcessStat,
    all_processes,
    arguments_of,
    descendants,
    memory_of,
    parse_rollup,
    parse_stat,
    stat_of,
)

TICK = 1 / os.sysconf("SC_CLK_TCK")


def test_a_command_name_may_hold_spaces_and_parentheses() -> None:
    text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 12345 999 100"

    assert parse_stat(text) == ProcessStat(42, 7, 127 * TICK)


def test_memory_is_read_in_bytes() -> None:
    text = "5599-7ffe ---p 00000000 00:00 0   [rollup]\nRss:    1748 kB\nPss:     288 kB\nPss_Dirty:  112 kB\n"

    assert parse_rollup(text) == ProcessMemory(rss=1748 * 1024, pss=288 * 1024)


def test_children_of_children_are_descendants() -> None:
    stats = [ProcessStat(1, 0, 0.0), ProcessStat(2, 1, 0.0), ProcessStat(3, 2, 0.0), ProcessStat(4, 0, 0.0)]

    assert [stat.pid for stat in descendants(1, stats)] == [2, 3]


def test_a_real_child_is_found_with_its_arguments_and_its_memory() -> None:
    command = (sys.executable, "-c", "input()", "näme")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        found = {stat.pid for stat in descendants(os.getpid(), all_processes())}
        arguments, memory = arguments_of(child.pid), memory_of(child.pid)
        child.kill()

    assert child.pid in found
    assert arguments == command
    assert 0 < memory.pss <= memory.rss


def test_a_process_that_is_gone_costs_nothing() -> None:
    with subprocess.Popen((sys.executable, "-c", "")) as child:
        pass

    assert stat_of(child.pid) is None
    assert memory_of(child.pid) == ProcessMemory(0, 0)
    assert arguments_of(child.pid) == ()
