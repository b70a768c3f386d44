"""Dagster's home is lost, or the database is away for a moment: nothing stays forgotten, nothing happens twice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy.exc import OperationalError

from kamu_assets.clock import ManualClock
from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.odf.dataset import AttachmentEmbedded, AttachmentsEmbedded, SetAttachments
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.instance import prepare
from kamu_assets.orchestration.names import METADATA_HEAD, RUNTIME_WARM, TAG_CHECKS, TAG_RUNTIME, key_of
from kamu_assets.orchestration.reports.check_runs import CheckRuns
from kamu_assets.orchestration.reports.restoring import COMMITS, RestoringReporter
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.orchestration.workers.launcher import HybridRunLauncher
from kamu_assets.orchestration.workers.reaper import Reaper
from tests.support.builders import a_schema
from tests.support.dagster_adapter import Adapter, an_adapter, definitions_of, reporter_of
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.heart import ADMIN


def lose_dagster(home: DagsterHome) -> None:
    """All of its files, and what a start makes anew."""
    shutil.rmtree(home.config.dagster_home)
    prepare(home.config)


@contextmanager
def restoring(home: DagsterHome) -> Iterator[tuple[Adapter, RestoringReporter]]:
    """The node after its next start."""
    with an_adapter(home) as adapter:
        parts = home.parts
        yield (
            adapter,
            RestoringReporter(
                instance=adapter.instance, database=parts.database, reporter=adapter.reporter, clock=parts.clock
            ),
        )


def restore(reporter: RestoringReporter) -> None:
    while reporter.step():
        pass


def push(home: DagsterHome, root: DatasetEntry, *, times: int) -> list[Multihash]:
    """As long ago as the year of the dataset's first block."""
    return [home.parts.push(root.id) for _ in range(times)]


def times_of(instance: DagsterInstance, entry: DatasetEntry) -> list[float]:
    return [record.timestamp for record in instance.fetch_materializations(key_of(entry.alias), limit=50).records]


def told_offsets(instance: DagsterInstance, entry: DatasetEntry) -> list[object]:
    """Oldest first."""
    records = instance.fetch_materializations(key_of(entry.alias), limit=50).records
    said = [record.asset_materialization for record in reversed(records)]
    return [each.metadata["offsets"].value for each in said if each]


def test_every_dataset_is_told_of_again_with_its_last_commits(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        root = home.parts.root("root")
        derivative = home.parts.derivative("derivative", root)
        heads = push(home, root, times=COMMITS + 2)
        with an_adapter(home):
            pass
        lose_dagster(home)

        with restoring(home) as (adapter, reporter):
            assert adapter.materializations(root) == []
            restore(reporter)
            of_root, of_derivative = adapter.materializations(root), adapter.materializations(derivative)
            times = times_of(adapter.instance, root)

        assert [said[METADATA_HEAD] for said in reversed(of_root)] == [str(head) for head in heads[-COMMITS:]]
        # What came before is told with the first of them.
        assert [said["offsets"] for said in reversed(of_root)][:2] == ["[0, 29]", "[30, 39]"]
        assert [said["dagster/row_count"] for said in reversed(of_root)][-2:] == [60, 70]
        assert of_derivative[0][METADATA_HEAD] == str(home.parts.chains.head(derivative.id))
        # Shown when it happened, not when it was told.
        assert all(at < time.time() - 60 for at in times)


def test_history_is_restored_once(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        root = home.parts.root("root")
        push(home, root, times=3)
        with restoring(home) as (adapter, reporter):
            restore(reporter)
            before = adapter.materializations(root)
            adapter.instance.wipe_assets([key_of(root.alias)])

        with restoring(home) as (adapter, reporter):
            assert not reporter.step()
            assert adapter.materializations(root) == []

        assert len(before) == 1


def test_a_restoration_that_was_cut_off_tells_nothing_twice(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        roots = [home.parts.root(f"root-{number}") for number in range(3)]
        for root in roots:
            push(home, root, times=2)
        with an_adapter(home):
            pass
        lose_dagster(home)
        with restoring(home) as (adapter, reporter):
            reporter._tell(roots[0].id)

        with restoring(home) as (adapter, reporter):
            restore(reporter)
            told = [len(adapter.materializations(root)) for root in roots]

        assert told == [2, 2, 2]


def test_what_is_committed_meanwhile_is_left_to_who_commits_it(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        root = home.parts.root("root")
        push(home, root, times=2)
        with an_adapter(home):
            pass
        lose_dagster(home)
        with an_adapter(home) as adapter:
            before = ManualClock(Timestamp(home.parts.chains.state(root.id).system_time.ns - NANOS_PER_SECOND))  # type: ignore[union-attr] # it has blocks
            reporter = RestoringReporter(
                instance=adapter.instance, database=home.parts.database, reporter=adapter.reporter, clock=before
            )
            restore(reporter)
            assert adapter.materializations(root) == []


def test_a_flow_whose_run_was_lost_runs_once_more(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        with an_adapter(home) as adapter:
            polled = adapter.polled_root()
            home.parts.flows.request_run(ADMIN, polled.id)
            adapter.scheduler.step()
            home.parts.queue.claim("dead-host:1:1")
        lose_dagster(home)

        with home.instance() as instance:
            assert instance.get_runs() == []
        with restoring(home) as (adapter, reporter):
            adapter.reaper.bury_lost()
            adapter.scheduler.reconcile()
            adapter.settle()
            restore(reporter)
            told = adapter.materializations(polled)

        (flow,) = home.parts.flows_of(polled.id)
        assert flow.outcome is not None
        assert flow.outcome.kind is OutcomeKind.SUCCESS
        assert [said["offsets"] for said in told] == ["[0, 9]"]


@pytest.mark.parametrize("method", ["claim", "done"])
def test_a_worker_keeps_its_run_when_the_database_leaves_before_it_answers(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    queue = adapter.parts.queue
    answer = getattr(queue, method)

    def leave(subject: str) -> None:
        monkeypatch.undo()
        if method == "claim":
            answer(subject)
        raise DatabaseBusyError

    monkeypatch.setattr(queue, method, leave)
    adapter.work()
    assert queue.contains(adapter.run_of(polled).run_id)

    adapter.settle()

    assert not queue.contains(adapter.run_of(polled).run_id)
    assert len(adapter.materializations(polled)) == 1
    (flow,) = adapter.parts.finished(polled.id)
    assert (flow.outcome and flow.outcome.kind, flow.attempt) == (OutcomeKind.SUCCESS, 1)


@pytest.mark.parametrize("has_begun", [False, True], ids=["before its start", "after its start"])
def test_a_run_stays_with_its_worker_until_its_end_can_be_told(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, *, has_begun: bool
) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    run = adapter.run_of(polled)
    if has_begun:
        start = DagsterEvent(event_type_value=DagsterEventType.RUN_START.value, job_name=run.job_name)
        adapter.instance.report_dagster_event(start, run.run_id)

    # Dagster's own storage tells of it in its own way.
    def leave(*_: object) -> None:
        raise OperationalError("SELECT 1", None, Exception("server closed the connection"))

    runs = adapter.worker._runs
    for method in ("_run", "_lose"):
        monkeypatch.setattr(runs, method, leave)
    adapter.work()
    assert adapter.parts.queue.contains(run.run_id)
    monkeypatch.undo()

    adapter.work()
    adapter.scheduler.reconcile()
    adapter.settle()

    assert not adapter.parts.queue.contains(run.run_id)
    (flow,) = adapter.parts.finished(polled.id)
    assert (flow.outcome and flow.outcome.kind, flow.attempt) == (OutcomeKind.SUCCESS, 2 if has_begun else 1)
    assert len(adapter.materializations(polled)) == 1


def test_a_run_that_could_not_be_queued_is_queued_later(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object, **__: object) -> None:
        raise DatabaseBusyError

    launcher = adapter.instance.run_launcher
    assert isinstance(launcher, HybridRunLauncher)
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    monkeypatch.setattr(launcher.queue, "put", leave)
    adapter.scheduler.step()
    run = adapter.run_of(polled)
    assert run.status is DagsterRunStatus.STARTING
    assert not adapter.parts.queue.contains(run.run_id)
    monkeypatch.undo()

    later = ManualClock(Timestamp(adapter.parts.clock.now().ns + 60 * NANOS_PER_SECOND))
    assert Reaper(instance=adapter.instance, queue=adapter.parts.queue, clock=later).requeue_stranded() == 1
    adapter.settle()

    (flow,) = adapter.parts.finished(polled.id)
    assert (flow.outcome and flow.outcome.kind, flow.attempt) == (OutcomeKind.SUCCESS, 1)


def test_a_run_that_was_canceled_as_it_ended_keeps_no_other_from_starting(adapter: Adapter) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.settle()
    adapter.instance.report_run_canceling(adapter.run_of(polled))

    later = ManualClock(Timestamp(adapter.parts.clock.now().ns + 60 * NANOS_PER_SECOND))
    assert Reaper(instance=adapter.instance, queue=adapter.parts.queue, clock=later).requeue_stranded() == 1

    assert adapter.run_of(polled).status is DagsterRunStatus.SUCCESS


def test_a_run_that_could_not_be_handed_over_is_made_again(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise DatabaseBusyError

    launcher = adapter.instance.run_launcher
    assert isinstance(launcher, HybridRunLauncher)
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    monkeypatch.setattr(launcher.queue, "has_room", leave)
    adapter.scheduler.step()
    # By Dagster, whose own tables were there.
    assert adapter.run_of(polled).status is DagsterRunStatus.FAILURE
    monkeypatch.undo()

    adapter.scheduler.reconcile()
    adapter.settle()

    (flow,) = adapter.parts.finished(polled.id)
    assert (flow.outcome and flow.outcome.kind, flow.attempt) == (OutcomeKind.SUCCESS, 2)


def test_news_wait_until_the_past_of_their_dataset_is_told(tmp_path: Path) -> None:
    with dagster_home(tmp_path) as home:
        roots = [home.parts.root(f"root-{number}") for number in range(2)]
        for root in roots:
            push(home, root, times=2)
        with an_adapter(home):
            pass
        # Told to the outbox, and to nobody yet.
        push(home, roots[1], times=1)
        lose_dagster(home)

        with home.instance() as instance:
            parts = home.parts
            news = reporter_of(parts, instance)
            restore(RestoringReporter(instance=instance, database=parts.database, reporter=news, clock=parts.clock))
            told = [told_offsets(instance, root) for root in roots]

        assert told == [["[0, 9]", "[10, 19]"], ["[0, 9]", "[10, 19]", "[20, 29]"]]


def checks_of(adapter: Adapter) -> CheckRuns:
    """As a scheduler has them that has just begun to lead."""
    return CheckRuns(
        instance=adapter.instance,
        config=adapter.parts.config,
        catalog=adapter.parts.catalog,
        jobs=ScopedJobs(definitions_of(adapter.parts)),
        chains=adapter.parts.chains,
        database=adapter.parts.database,
        outbox=adapter.parts.outbox,
    )


def test_checks_whose_scheduler_died_before_it_submitted_them_are_executed(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    run = adapter.ui_run_to_submit(root, tags={TAG_RUNTIME: RUNTIME_WARM, TAG_CHECKS: str(root.id)}, checks=True)

    checks_of(adapter).step()
    adapter.work()

    done = adapter.instance.get_run_by_id(run.run_id)
    assert done is not None
    assert done.status is DagsterRunStatus.SUCCESS


def test_checks_that_a_dead_scheduler_heard_of_are_done_by_the_next(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = SetAttachments(
        attachments=AttachmentsEmbedded(
            items=(AttachmentEmbedded(path="quality.yaml", content="checks: [{kind: RowCountChange, min: 1}]"),)
        )
    )
    root = adapter.parts.heart.dataset(f"{uuid4().hex[:12]}-checked", a_schema(), rules)
    with monkeypatch.context() as patch:
        patch.setattr(CheckRuns, "_check", _away)
        with pytest.raises(DatabaseBusyError):
            checks_of(adapter).step()

    checks_of(adapter).step()
    checks_of(adapter).step()

    (run,) = adapter.instance.get_runs(RunsFilter(tags={TAG_CHECKS: str(root.id)}))
    assert run.status is not DagsterRunStatus.NOT_STARTED
    adapter.work()


def _away(*_: object) -> None:
    raise DatabaseBusyError
