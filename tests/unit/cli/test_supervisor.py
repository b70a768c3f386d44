"""The supervisor's order of starting: the first process, what prepares the others, the others."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kamu_api.cli.node.child import Child, ProcessSpec
from kamu_api.cli.node.node_log import NodeLog
from kamu_api.cli.node.supervisor import ProcessFailedError, Recovery, Supervisor
from tests.support.process_tree import all_processes
from tests.support.waiting import wait_until

FIRST = ProcessSpec("first", ("sleep", "300"))
SECOND = ProcessSpec("second", ("sleep", "301"))
THIRD = ProcessSpec("third", ("sleep", "302"))


def preparation(program: str, *, niceness: int = 0) -> ProcessSpec:
    return ProcessSpec("prepare", (sys.executable, "-c", program), niceness=niceness)


@contextmanager
def supervised(
    folder: Path,
    prepare: ProcessSpec | None,
    *,
    wanted: Callable[[], Sequence[ProcessSpec]] | None = None,
    recovery: Recovery | None = None,
) -> Iterator[Supervisor]:
    log = NodeLog(folder / "node.log")
    supervisor = Supervisor((FIRST, SECOND), log=log, preparation=prepare, wanted=wanted, recovery=recovery)
    try:
        yield supervisor
    finally:
        supervisor.end()
        log._file.close()


def told(folder: Path) -> str:
    return (folder / "node.log").read_text(encoding="utf-8")


def children() -> Sequence[int]:
    return [stat.pid for stat in all_processes() if stat.parent == os.getpid()]


def test_others_may_start_when_the_preparation_has_ended(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    program = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    before = len(children())
    with supervised(tmp_path, preparation(program)) as supervisor:
        supervisor.start_first()
        supervisor.check()
        assert not supervisor.is_prepared
        assert len(children()) == before + 2

        gate.touch()
        wait_until(lambda: supervisor.is_prepared)
        supervisor.check()
        supervisor.start()
        assert len(children()) == before + 2
    assert len(children()) == before


def test_nothing_is_waited_for_where_nothing_is_to_prepare(tmp_path: Path) -> None:
    with supervised(tmp_path, None) as supervisor:
        supervisor.start_first()
        assert supervisor.is_prepared


def test_a_failed_preparation_is_told_with_its_code(tmp_path: Path) -> None:
    with supervised(tmp_path, preparation("raise SystemExit('no space left')")) as supervisor:
        supervisor.start_first()

        with pytest.raises(ProcessFailedError, match=r"^prepare ended with code 1; its last words are in .*node\.log$"):
            wait_until(supervisor.check)
        assert not supervisor.is_prepared
        wait_until(lambda: "prepare    | no space left" in told(tmp_path))


def test_a_preparation_is_ended_with_the_node(tmp_path: Path) -> None:
    before = len(children())
    with supervised(tmp_path, preparation("import time; time.sleep(300)")) as supervisor:
        supervisor.start_first()
        assert len(children()) == before + 2
    assert len(children()) == before


def test_a_preparation_stands_back(tmp_path: Path) -> None:
    program = "import os; print('niceness', os.nice(0)); print(open('/proc/self/autogroup').read())"
    with supervised(tmp_path, preparation(program, niceness=7)) as supervisor:
        supervisor.start_first()
        wait_until(lambda: f"niceness {os.nice(0) + 7}\n" in told(tmp_path))
        if Path("/proc/self/autogroup").exists():
            wait_until(lambda: "nice 7\n" in told(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no groups by session")
def test_a_preparation_stands_back_until_everything_waits_for_it(tmp_path: Path) -> None:
    program = "import time\nwhile True: print(open('/proc/self/autogroup').read(), flush=True); time.sleep(0.05)"
    with supervised(tmp_path, preparation(program, niceness=7)) as supervisor:
        supervisor.start_first()
        wait_until(lambda: "nice 7\n" in told(tmp_path))

        supervisor.hurry()

        wait_until(lambda: "nice 0\n" in told(tmp_path))


def test_processes_come_and_go_while_the_others_go_on(tmp_path: Path) -> None:
    wanted = [FIRST, SECOND]
    before = set(children())
    with supervised(tmp_path, None, wanted=lambda: wanted) as supervisor:
        supervisor.start()
        began = set(children()) - before
        wanted = [FIRST, THIRD]

        def look() -> set[int] | None:
            now = set(children()) - before
            return now if len(now & began) == 1 and len(now - began) == 1 else None

        # It watches until it is stopped, from the thread that starts processes.
        with ThreadPoolExecutor() as pool:
            found = pool.submit(wait_until, look)
            found.add_done_callback(lambda _: supervisor.stop())
            supervisor.run()
            found.result()
    assert "second is no longer needed" in told(tmp_path)
    assert set(children()) == before


def test_a_home_that_is_lost_is_made_anew_and_all_but_the_first_begin_again(tmp_path: Path) -> None:
    mark, attempts = tmp_path / "mark", tmp_path / "attempts"
    # It succeeds the second time.
    program = f"""
import pathlib
attempts = pathlib.Path({str(attempts)!r})
attempts.write_text(attempts.read_text() + "x" if attempts.exists() else "x")
assert len(attempts.read_text()) == 2
pathlib.Path({str(mark)!r}).touch()
"""
    recovery = Recovery(lambda: not mark.exists(), preparation(program))
    before = set(children())
    mark.touch()
    with supervised(tmp_path, None, recovery=recovery) as supervisor:
        supervisor.start()
        first, second = sorted(set(children()) - before)
        mark.unlink()

        def look() -> set[int] | None:
            now = set(children()) - before
            return now if mark.exists() and first in now and second not in now and len(now) == 2 else None

        with ThreadPoolExecutor() as pool:
            found = pool.submit(wait_until, look)
            found.add_done_callback(lambda _: supervisor.stop())
            supervisor.run()
            found.result()
    assert attempts.read_text() == "xx"
    assert "the home of Dagster is gone" in told(tmp_path)
    assert set(children()) == before


def test_who_talks_to_another_is_started_when_that_listens(tmp_path: Path) -> None:
    log = NodeLog(tmp_path / "node.log")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        talker = Child(ProcessSpec("talker", ("sleep", "303"), after=server.getsockname()), log)
        talker.revive()
        assert not talker.is_started

        server.listen()
        talker.revive()
        assert talker.is_started
    talker.terminate()
    talker.reap(time.monotonic() + 60)
    log._file.close()
