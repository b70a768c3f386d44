"""What workers print."""

from __future__ import annotations

import pytest

from kamu_assets.engines.workers.hearing import hearing
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.engines.workers.pool import WorkerPool
from tests.unit.engines import jobs

# More than a pipe holds: whoever prints it waits for a reader.
MANY = 20_000


def test_all_that_is_printed_is_heard(pool: WorkerPool) -> None:
    heard = bytearray()

    with hearing(heard.extend):
        assert pool.run(jobs.print_lines, MANY) == MANY

    lines = heard.decode().splitlines()
    assert len(lines) == MANY + 1
    assert lines[-2:] == [f"line {MANY - 1} of {MANY}", "and an error"]


def test_the_last_lines_of_a_worker_that_dies_are_heard(pool: WorkerPool) -> None:
    heard = bytearray()

    with hearing(heard.extend), pytest.raises(WorkerDiedError):
        pool.run(jobs.print_and_die, 200)

    assert heard.endswith(b"line 199 of 200\nand an error\n")


def test_nobody_needs_to_listen(pool: WorkerPool, capfd: pytest.CaptureFixture[str]) -> None:
    assert pool.run(jobs.print_lines, MANY) == MANY
    heard = bytearray()

    with hearing(heard.extend):
        assert pool.run(jobs.double, 1) == 2

    assert heard == b""
    assert capfd.readouterr() == ("", "")


def test_a_worker_may_close_what_it_prints_to(pool: WorkerPool) -> None:
    assert pool.run(jobs.print_nothing_more, None) == "done"
    heard = bytearray()

    with hearing(heard.extend):
        assert pool.run(jobs.print_lines, 1) == 1

    assert heard == b"line 0 of 1\nand an error\n"
