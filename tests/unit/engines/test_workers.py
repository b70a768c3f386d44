import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.engines.worker_limits import (
    AbortedError,
    JobBugError,
    JobCancelledError,
    MemoryLimitError,
    PoolBusyError,
    PoolClosedError,
    ResultLimitError,
    TimeLimitError,
    WorkerDiedError,
)
from kamu_assets.engines.workers import WorkerLimits, WorkerPool
from kamu_assets.errors import InvalidError
from tests.support.waiting import wait_until
from tests.unit.engines import jobs

MIB = 1 << 20
LIMITS = WorkerLimits(memory_bytes=400 * MIB, time_seconds=60)


def a_pool(size: int = 2, **options: object) -> WorkerPool:
    return WorkerPool(
        name="query",
        size=size,
        limits=LIMITS,
        preload=("tests.unit.engines.jobs",),
        **options,  # type: ignore[arg-type]  # options are passed on as they are
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = a_pool()
    yield pool
    pool.close()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_job_gets_its_request_and_gives_its_result(pool: WorkerPool) -> None:
    assert pool.run(jobs.double, 21) == 42
    assert pool.run(jobs.move, jobs.Point(1, Path("/a"))) == jobs.Point(2, Path("/a/moved"))


def test_jobs_run_elsewhere_and_workers_are_used_again(pool: WorkerPool) -> None:
    first = pool.run(jobs.pid, None)

    assert first != os.getpid()
    assert pool.run(jobs.pid, None) == first


def test_an_expected_error_travels_with_its_class_and_its_facts(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)

    with pytest.raises(jobs.CupMissingError, match="cup 7 does not exist") as caught:
        pool.run(jobs.missing, 7)

    assert caught.value.cup == 7
    assert pool.run(jobs.pid, None) == worker


def test_a_bug_is_no_kamu_error_and_replaces_the_worker(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)

    with pytest.raises(JobBugError, match="ZeroDivisionError: a bug") as caught:
        pool.run(jobs.bug, None)

    first, second, *_ = str(caught.value).splitlines()
    assert first == "a job of query failed: ZeroDivisionError: a bug"
    assert second.startswith("Traceback")
    assert pool.run(jobs.pid, None) != worker


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


@pytest.mark.parametrize("job", [jobs.gadget, jobs.unpicklable])
def test_a_worker_cannot_make_its_parent_call_anything(pool: WorkerPool, job: Callable[[None], object]) -> None:
    with pytest.raises(JobBugError):
        pool.run(job, None)


def test_a_job_can_ask_its_parent(pool: WorkerPool) -> None:
    def answer(question: str) -> str:
        if question.endswith("b"):
            raise InvalidError("not that one")
        return question.upper()

    assert pool.run(jobs.ask_twice, "q", on_ask=answer) == ["QA", "refused: not that one"]


def test_a_bug_of_the_one_who_answers_is_seen_by_the_caller(pool: WorkerPool) -> None:
    def answer(_: str) -> str:
        raise LookupError("a bug here")

    with pytest.raises(LookupError):
        pool.run(jobs.ask_twice, "q", on_ask=answer)

    assert pool.run(jobs.double, 4) == 8


def test_a_job_reports_its_progress(pool: WorkerPool) -> None:
    seen: list[int] = []

    assert pool.run(jobs.count, 3, on_progress=seen.append) == 3

    assert seen == [0, 1, 2]


def test_a_job_nobody_waits_for_is_killed(pool: WorkerPool, tmp_path: Path) -> None:
    cancel, marker = threading.Event(), tmp_path / "pid"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(pool.run, jobs.note_and_spin, marker, cancel=cancel)
        wait_until(marker.exists)

        cancel.set()

        assert isinstance(running.exception(timeout=5), JobCancelledError)
    wait_until(lambda: is_gone(int(marker.read_text())))


def test_secrets_of_the_node_are_not_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE__DATABASE__URL", jobs.SECRET)
    pool = WorkerPool(name="query", size=1, limits=LIMITS, preload=("tests.unit.engines.jobs", "colorsys"))

    assert "KAMU_NODE__DATABASE__URL" not in pool.run(jobs.environment, None)
    assert jobs.SECRET.encode() not in pool.run(jobs.everything_inherited, None)
    pool.close()


def test_a_worker_has_no_network(pool: WorkerPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        open_pool = a_pool(network=True)

        assert open_pool.run(jobs.connect, port) == "connected"
        if pool.run(jobs.connect, port) == "connected":
            pytest.skip("this system does not let us leave the network")
        open_pool.close()


def test_a_worker_leads_its_own_group_and_ignores_the_terminal(pool: WorkerPool) -> None:
    worker = pool.run(jobs.pid, None)

    assert pool.run(jobs.group_and_session, None) == (worker, worker)
    assert pool.run(jobs.interrupt, None) == "alive"


def test_callers_beyond_the_size_wait_and_beyond_the_queue_are_refused() -> None:
    pool = a_pool(size=2, max_waiting=1)
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(pool.run, jobs.sleep, 1.0) for _ in range(3)]
        wait_until(lambda: pool._places._waiting == 1)

        with pytest.raises(PoolBusyError, match="all query workers are busy and 1 callers wait"):
            pool.run(jobs.double, 1)

        assert len({job.result(timeout=20) for job in running}) == 2
    pool.close()


def test_many_threads_share_a_pool(pool: WorkerPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: pool.run(jobs.double, number), range(100))) == list(range(0, 200, 2))


def test_an_idle_pool_shrinks() -> None:
    pool = a_pool(size=3, min_idle=1, idle_seconds=0.1)
    pool.warm_up(3)

    wait_until(lambda: len(pool._idle) == 1)
    pool.close()


def test_used_workers_are_renewed_in_a_pause() -> None:
    pool = a_pool(size=2, min_idle=1, idle_seconds=0.1)
    used = pool.run(jobs.pid, None)

    wait_until(lambda: [worker.is_fresh for worker in pool._idle] == [True])
    assert pool._idle[0].pid != used
    pool.close()


def test_a_closed_pool_leaves_nothing_and_refuses() -> None:
    pool = a_pool()
    worker = pool.run(jobs.pid, None)

    pool.close()

    wait_until(lambda: is_gone(worker))
    with pytest.raises(PoolClosedError):
        pool.run(jobs.double, 1)


def test_a_dead_nursery_is_replaced() -> None:
    pool = WorkerPool(name="query", size=1, limits=LIMITS, preload=("tests.unit.engines.jobs", "keyword"))
    worker = pool.run(jobs.pid, None)
    nursery = pool._nursery._process
    assert nursery is not None
    os.kill(nursery.pid, signal.SIGKILL)
    # Workers end with their nursery.
    wait_until(lambda: is_gone(worker))

    assert pool.run(jobs.double, 2) == 4
    pool.close()


def test_the_nursery_forks_without_threads_and_as_often_as_it_takes() -> None:
    pool = WorkerPool(name="query", size=1, limits=LIMITS)
    pool.run(jobs.pid, None)

    assert pool.run(jobs.threads_of_nursery, None) == 1
    assert pool._nursery.threads == 1
    nursery = pool._nursery._process

    worker = pool.run(jobs.pid, None)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: is_gone(worker))
    assert pool.run(jobs.pid, None) != worker
    assert pool._nursery._process is nursery, "a new worker needs no new nursery, which would load everything again"
    pool.close()


def test_no_orphan_survives_a_killed_parent(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    program = (
        "from pathlib import Path\n"
        "from tests.unit.engines import jobs, test_workers\n"
        f"test_workers.a_pool().run(jobs.note_and_spin, Path({str(marker)!r}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        wait_until(lambda: marker.exists() and marker.read_text() != "")
        parent.kill()

    wait_until(lambda: is_gone(int(marker.read_text())))


def test_long_jobs_give_way_to_short_ones() -> None:
    pool = a_pool(size=2, patience=0.3)
    with ThreadPoolExecutor() as threads:
        long = [threads.submit(pool.run, jobs.sleep, 4.0) for _ in range(6)]
        time.sleep(0.2)
        waited = []
        for number in range(5):
            before = time.monotonic()
            assert pool.run(jobs.double, number) == 2 * number
            waited.append(time.monotonic() - before)
        assert not any(job.done() for job in long[:2])
        # Those that had to make room run again, none is lost and at most four ran at once.
        assert len([job.result() for job in long]) == 6
    pool.close()

    assert max(waited) < 3.5


def test_a_job_that_steps_back_keeps_its_process_at_low_priority() -> None:
    pool = a_pool(size=1, patience=0.2)
    with ThreadPoolExecutor() as threads:
        long = threads.submit(pool.run, jobs.sleep, 2.0)
        time.sleep(0.4)
        other = pool.run(jobs.pid, None)
        [nice] = [os.getpriority(os.PRIO_PROCESS, place.pid or 0) for place in pool._places._taken]
        assert long.result() != other
    # It is not given to the next job.
    assert pool.run(jobs.pid, None) == other
    pool.close()

    assert nice == 10


def test_a_job_that_has_to_make_room_can_be_cancelled_and_refused() -> None:
    pool = a_pool(size=1, patience=0.1)
    cancel = threading.Event()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(pool.run, jobs.sleep, 3.0)
        time.sleep(0.3)
        second = threads.submit(pool.run, jobs.sleep, 3.0, cancel=cancel)
        time.sleep(0.4)
        assert pool.run(jobs.double, 1) == 2
        cancel.set()
        with pytest.raises(JobCancelledError):
            second.result()
        first.result()
    pool.close()
