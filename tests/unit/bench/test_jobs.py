"""Runs in child processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.bench import jobs
from tests.bench.jobs import FailedJobError, MissingSubjectError, run_job
from tests.bench.subject import Environment, Subject
from tests.unit.bench import subjects


def test_a_right_result_counts() -> None:
    ran = run_job(Subject("fine", subjects.works, subjects.gives_ten, needs=("pyarrow",)))

    assert ran.run.wall_s > 0
    assert ran.run.rss_mb > 5
    assert ran.versions["pyarrow"]


def test_a_wrong_result_is_refused() -> None:
    with pytest.raises(FailedJobError, match="rows: 10 instead of 11"):
        run_job(Subject("wrong", subjects.works, subjects.gives_eleven))


@pytest.mark.parametrize("run", [subjects.breaks, subjects.ends])
def test_a_broken_job_is_told(run: Callable[[Any], object]) -> None:
    with pytest.raises(FailedJobError, match="broken: "):
        run_job(Subject("broken", run, subjects.anything))


def test_preparation_does_not_count() -> None:
    ran = run_job(Subject("prepared", subjects.is_prepared, subjects.gives_ten, prepare=subjects.slowly_prepared))

    assert ran.run.cpu_s < 0.25


def test_imports_are_done_before_the_clock_starts() -> None:
    module = "xml.etree.ElementTree"

    ran = run_job(Subject("imports", partial(subjects.is_loaded, module=module), subjects.gives_ten, imports=(module,)))

    assert ran.run.wall_s > 0


def test_a_job_finds_its_own_variables_in_its_environment() -> None:
    run = partial(subjects.finds_in_its_environment, name="BENCH_TRIAL")

    assert run_job(Subject("told", run, subjects.is_told_ten, variables={"BENCH_TRIAL": "ten"})).run.wall_s > 0
    with pytest.raises(FailedJobError, match="'nothing' instead of 'ten'"):
        run_job(Subject("not told", run, subjects.is_told_ten))


def test_processor_time_of_children_counts_dead_or_alive() -> None:
    dead = run_job(Subject("dead", subjects.burns_in_a_child, subjects.anything))
    alive = run_job(
        Subject("alive", subjects.burns_in_a_living_child, subjects.anything, prepare=subjects.a_waiting_child)
    )

    assert dead.run.cpu_s >= 0.25
    assert alive.run.cpu_s >= 0.25


def test_the_most_memory_is_noted() -> None:
    ran = run_job(Subject("large", subjects.takes_memory, subjects.gives_ten))

    assert ran.run.rss_mb >= 200


def test_what_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with pytest.raises(MissingSubjectError, match="no-such-distribution"):
        run_job(Subject("peer", subjects.works, subjects.gives_ten, needs=("no-such-distribution",)))

    monkeypatch.setattr(jobs, "PEERS_PYTHON", jobs.ROOT / "nowhere" / "bin" / "python")
    with pytest.raises(MissingSubjectError, match="no environment for peers"):
        run_job(Subject("peer", subjects.works, subjects.gives_ten, environment=Environment.PEERS))
