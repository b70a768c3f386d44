"""What a job may use, and what becomes of one that dies or wants more."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from kamu_assets.engines.workers.limits import (
    AbortedError,
    MemoryLimitError,
    ResultLimitError,
    TimeLimitError,
    WorkerDiedError,
)
from kamu_assets.engines.workers.pool import WorkerLimits, WorkerPool
from tests.support.waiting import wait_until
from tests.unit.engines import jobs
from tests.unit.engines.pools import LIMITS, MIB, is_gone


@pytest.mark.parametrize(
    ("job", "argument", "cause"),
    [
        (jobs.kill_self, signal.SIGKILL, "SIGKILL"),
        (jobs.kill_self, signal.SIGSEGV, "SIGSEGV"),
        (jobs.leave, 3, "exit code 3"),
        (jobs.leave, 0, "exit code 0"),
    ],
)
def test_a_worker_that_dies_costs_one_job_and_is_replaced(
    pool: WorkerPool, job: Callable[[object], None], argument: object, cause: str
) -> None:
    with pytest.raises(WorkerDiedError, match=f"query worker died in the middle of a job: {cause}"):
        pool.run(job, argument)

    assert pool.run(jobs.double, 4) == 8


def test_an_abort_is_told_with_the_limit(pool: WorkerPool) -> None:
    with pytest.raises(AbortedError, match=r"far more than 400 MiB of memory at once \(setting query.memory_limit\)"):
        pool.run(jobs.abort, None)

    assert pool.run(jobs.double, 4) == 8


def test_a_worker_that_died_while_idle_is_not_noticed(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: is_gone(worker))

    assert pool.run(jobs.double, 4) == 8


def test_an_endless_job_is_killed_at_its_deadline(pool: WorkerPool, tmp_path: Path) -> None:
    limits = WorkerLimits(memory_bytes=LIMITS.memory_bytes, time_seconds=0.3)
    marker = tmp_path / "pids"

    with pytest.raises(TimeLimitError, match=r"query takes longer than 0.3 s \(setting query.time_limit_seconds\)"):
        pool.run(jobs.spin, None, limits=limits)

    with pytest.raises(TimeLimitError):
        pool.run(jobs.spawn_and_spin, marker, limits=WorkerLimits(LIMITS.memory_bytes, 1.5))
    children = [int(pid) for pid in marker.read_text().split()]
    wait_until(lambda: all(map(is_gone, children)))


def test_a_memory_bomb_is_killed_at_its_limit(pool: WorkerPool) -> None:
    with pytest.raises(MemoryLimitError, match=r"needs more than 400 MiB of memory \(setting query.memory_limit\)"):
        pool.run(jobs.eat_memory, None)

    assert pool.run(jobs.double, 4) == 8


def test_one_absurd_allocation_is_refused(pool: WorkerPool) -> None:
    with pytest.raises(MemoryLimitError):
        pool.run(jobs.ask_for_the_moon, 1 << 40)


def test_a_huge_result_is_refused_before_it_is_held(pool: WorkerPool) -> None:
    limits = WorkerLimits(LIMITS.memory_bytes, LIMITS.time_seconds, result_bytes=MIB)

    with pytest.raises(ResultLimitError, match="result of more than 1 MiB"):
        pool.run(jobs.large, 2 * MIB, limits=limits)

    assert len(pool.run(jobs.large, 50 * MIB)) == 50 * MIB
