"""What a job cannot reach, and what it cannot leave behind."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kamu_assets.engines.workers.limits import (
    JobBugError,
)
from kamu_assets.engines.workers.pool import WorkerPool
from tests.support.waiting import wait_until
from tests.unit.engines import jobs
from tests.unit.engines.pools import LIMITS, a_pool, is_gone


@pytest.mark.parametrize("job", [jobs.gadget, jobs.unpicklable])
def test_a_worker_cannot_make_its_parent_call_anything(pool: WorkerPool, job: Callable[[None], object]) -> None:
    with pytest.raises(JobBugError):
        pool.run(job, None)


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


def test_no_orphan_survives_a_killed_parent(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    program = (
        "from pathlib import Path\n"
        "from tests.unit.engines import jobs, pools\n"
        f"pools.a_pool().run(jobs.note_and_spin, Path({str(marker)!r}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        wait_until(lambda: marker.exists() and marker.read_text() != "")
        parent.kill()

    wait_until(lambda: is_gone(int(marker.read_text())))
