"""The logs of flows that ran on a real Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import kamu_assets
from kamu_assets.engines.workers.hearing import JOB_ENDED, hear
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.flows.logs.cleaning import DATA
from kamu_assets.flows.logs.lines import START, Channel, LogLine
from kamu_assets.flows.logs.service import WAKEUP, FlowLogs
from kamu_assets.flows.model import Flow
from kamu_assets.monitoring.secrets import HIDDEN
from kamu_assets.monitoring.whereabouts import PathNamer
from kamu_assets.orchestration.run_history import DagsterRunLogs
from tests.support.dagster_adapter import Adapter
from tests.support.dagster_home import StandInCoordinator
from tests.support.heart import ADMIN
from tests.unit.engines import jobs
from tests.unit.engines.pools import a_pool


@pytest.fixture
def logs(adapter: Adapter) -> Iterator[FlowLogs]:
    parts = adapter.parts
    logs = FlowLogs(
        database=parts.database,
        flows=parts.flows,
        datasets=parts.datasets,
        runs=lambda: DagsterRunLogs(parts.config),
        wakeups=parts.wakeups,
        paths=PathNamer([("<node>", parts.home), (DATA, parts.home / "datasets")]),
        secrets_of=lambda _: ["unexpected-secret"],
    )
    yield logs
    logs.close()


def run_of(adapter: Adapter, name: str) -> Flow:
    """A flow of a new root that has run."""
    root = adapter.parts.root(name)
    adapter.parts.flows.request_run(ADMIN, root.id)
    adapter.settle()
    flow = adapter.parts.flow_of(root.id)
    assert flow is not None
    return flow


def test_a_run_says_what_it_added_between_its_begin_and_its_end(adapter: Adapter, logs: FlowLogs) -> None:
    flow = run_of(adapter, f"polled-{uuid4().hex[:12]}")

    page = logs.page(ADMIN, flow.id)

    assert page.is_over
    texts = [line.text for line in page.lines]
    from_run = [line for line in page.lines if line.channel is Channel.RUN]
    assert texts.index("attempt 1 queued") < texts.index(from_run[0].text)
    assert texts.index(from_run[-1].text) < texts.index("attempt 1 finished, success")
    assert any("records_added: 10" in line.text for line in from_run)
    assert {line.attempt for line in from_run} == {1}
    assert not any("ds_f" in text or "ds_0" in text for text in texts)
    # What the events of the flow tell, and what only Dagster's processes do.
    assert not any("xecution of run" in text or "process (pid" in text for text in texts)


def test_followers_are_tapped_when_a_run_says_something(adapter: Adapter) -> None:
    with adapter.parts.wakeups.listen(WAKEUP) as listener:
        adapter.parts.push(adapter.pushed_root().id)
        assert not listener.wait(0)

        run_of(adapter, f"polled-{uuid4().hex[:12]}")

        assert listener.wait(0)


def test_a_bug_is_told_with_its_traceback_and_without_the_paths_in_it(adapter: Adapter, logs: FlowLogs) -> None:
    flow = run_of(adapter, f"buggy-unexpected-secret-{uuid4().hex[:12]}")

    from_run = [line.text for line in logs.page(ADMIN, flow.id).lines if line.channel is Channel.RUN]
    told = "\n".join(from_run)

    # Of the step that failed, not again of the run that failed with it.
    assert sum("was not expected" in text for text in from_run) == 1
    assert 'File "<python>/' in told
    assert "unexpected-secret" not in told
    assert str(Path(kamu_assets.__file__).parents[1]) not in told
    assert str(adapter.parts.home) not in told


def test_what_engines_print_is_told_as_theirs(
    adapter: Adapter, logs: FlowLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = StandInCoordinator.pull

    def printing(self: StandInCoordinator, *asked: Any, **more: Any) -> object:
        hear(f"took unexpected-secret to {adapter.parts.home}/datasets/x\n".encode() * 2)
        hear(JOB_ENDED)
        return pull(self, *asked, **more)

    monkeypatch.setattr(StandInCoordinator, "pull", printing)
    flow = run_of(adapter, f"broken-{uuid4().hex[:12]}")

    lines = logs.page(ADMIN, flow.id).lines

    (printed,) = [line for line in lines if line.channel is Channel.ENGINE]
    assert printed.text == "\n".join([f"took {HIDDEN} to <data>/x"] * 2)
    assert lines.index(printed) < next(at for at, line in enumerate(lines) if "on purpose" in line.text)


def test_the_last_lines_of_engines_that_die_stay(
    adapter: Adapter, logs: FlowLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DG-08: 200 lines, and then an exit code or a signal."""
    with closing(a_pool()) as pool:

        def dying(_coordinator: StandInCoordinator, *_asked: Any, **_more: Any) -> object:
            with pytest.raises(WorkerDiedError):
                pool.run(jobs.print_and_exit, 200)
            return pool.run(jobs.print_and_die, 200)

        monkeypatch.setattr(StandInCoordinator, "pull", dying)
        flow = run_of(adapter, uuid4().hex)

    lines = logs.page(ADMIN, flow.id).lines

    printed = [line.text for line in lines if line.channel is Channel.ENGINE]
    assert "\n".join(printed).splitlines()[-1] == "and an error"
    assert "\n".join(printed).count("line 199 of 200") == 2
    assert "SIGKILL" in lines[-1].text
    # Dagster's UI shows them as well.
    stored = [entry.message for entry in adapter.instance.all_logs(str(flow.run_id))]
    assert all(text in stored for text in printed)


def test_pages_of_a_real_log_fit_together(adapter: Adapter, logs: FlowLogs) -> None:
    flow = run_of(adapter, f"polled-{uuid4().hex[:12]}")
    whole = logs.page(ADMIN, flow.id).lines

    after = START
    paged: list[LogLine] = []
    for _ in whole:
        page = logs.page(ADMIN, flow.id, after=after, limit=1)
        paged += page.lines
        after = page.cursor

    assert paged == whole


def test_a_run_that_is_gone_has_said_nothing(adapter: Adapter, logs: FlowLogs) -> None:
    flow = run_of(adapter, f"polled-{uuid4().hex[:12]}")
    adapter.instance.delete_run(str(flow.run_id))

    page = logs.page(ADMIN, flow.id)

    assert page.is_over
    assert {line.channel for line in page.lines} == {Channel.FLOW}
