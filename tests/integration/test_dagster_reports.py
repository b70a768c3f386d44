"""What Dagster is told of commits that no run told it of: everything once, in the order of the chain."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from dagster import TableColumnDep, TableColumnLineage

from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.flows.model import Binding, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.names import METADATA_HEAD, key_of
from kamu_assets.orchestration.reports.reporter import CONSUMER
from tests.support.builders import START, a_schema
from tests.support.coordination import InThisProcess
from tests.support.dagster_adapter import Adapter
from tests.support.dagster_home import StandInCoordinator
from tests.support.heart import ADMIN


def test_a_push_is_reported_once(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    head = adapter.parts.push(root.id, records=3)

    assert adapter.reporter.step()
    adapter.report()

    (said,) = adapter.materializations(root)
    assert said[METADATA_HEAD] == str(head)
    assert (said["dagster/row_count"], said["records_added"]) == (3, 3)


def test_a_report_before_a_crash_is_not_repeated_after_it(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    adapter.parts.push(root.id)
    adapter.reporter.step()

    with adapter.parts.database.transaction() as tx:
        adapter.parts.outbox.advance(tx, CONSUMER, 0)
    adapter.report()

    assert len(adapter.materializations(root)) == 1


def test_pushes_that_come_fast_are_reported_together(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    for _ in range(3):
        adapter.parts.push(root.id)

    adapter.reporter.step()

    (said,) = adapter.materializations(root)
    assert (said["records_added"], said["offsets"]) == (30, "[0, 29]")


def test_a_derivative_tells_where_its_columns_come_from(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    adapter.parts.push(root.id)

    adapter.settle()

    (said,) = adapter.materializations(derivative)
    origins = said["dagster/column_lineage"]
    assert isinstance(origins, TableColumnLineage)
    assert origins.deps_by_column["event_time"] == [TableColumnDep(key_of(root.alias), "event_time")]


def test_what_a_run_tells_itself_is_not_reported(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    derivative = adapter.derivative(root)
    adapter.parts.push(root.id)
    adapter.settle()

    adapter.report()

    assert len(adapter.materializations(derivative)) == 1


def test_a_commit_whose_run_died_is_reported(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    run = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=run.run_id)
    adapter.reaper.bury_lost()

    adapter.report()

    (said,) = adapter.materializations(entry)
    assert said["records_added"] == 10


def test_a_commit_whose_run_died_is_reported_before_the_next_attempt_tells_of_its_own(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, entry.id)
    adapter.scheduler.step()
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=adapter.run_of(entry).run_id)
    adapter.report()
    assert adapter.materializations(entry) == []

    adapter.reaper.bury_lost()
    adapter.scheduler.reconcile()
    adapter.work()
    adapter.report()

    assert [said["offsets"] for said in adapter.materializations(entry)] == ["[10, 19]", "[0, 9]"]


def test_the_end_of_a_flow_is_not_taken_for_what_the_next_run_is_about_to_tell(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    adapter.parts.push(entry.id)
    first = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    adapter.parts.flows.run_finished(
        first.run_id, FlowOutcome(OutcomeKind.ABORTED), bindings=[Binding(entry.id, FlowType.INGEST)]
    )
    second = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=second.run_id)

    adapter.report()

    assert [said["offsets"] for said in adapter.materializations(entry)] == ["[0, 9]"]
    adapter.reaper.bury_lost()


def test_a_report_leaves_out_what_a_run_is_about_to_tell(adapter: Adapter) -> None:
    entry = adapter.polled_root()
    run = adapter.ui_run(entry)
    adapter.parts.queue.claim("dead-host:1:1")
    pushed = adapter.parts.push(entry.id)
    StandInCoordinator(adapter.parts).pull(ADMIN, entry.id, run_id=run.run_id)

    adapter.report()

    (said,) = adapter.materializations(entry)
    assert (said[METADATA_HEAD], said["records_added"]) == (str(pushed), 10)
    adapter.reaper.bury_lost()


def test_a_dataset_of_the_same_name_starts_afresh(adapter: Adapter) -> None:
    name = f"{uuid4().hex[:12]}-again"
    first = adapter.parts.root(name)
    adapter.parts.push(first.id)
    adapter.reporter.step()
    adapter.parts.datasets.delete(ADMIN, first.id)
    again = replace(first, id=DatasetID.seeded(f"{name} again".encode()))
    adapter.parts.committer.create(again, (a_schema(),), system_time=START)
    adapter.parts.push(again.id)

    adapter.report()

    assert len(adapter.materializations(again)) == 2


def test_a_chain_that_was_reset_is_told_of_as_it_is_now(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    first = adapter.parts.push(root.id, records=3)
    adapter.report()
    adapter.parts.push(root.id, records=4)
    adapter.report()

    reset(adapter, root.id, first)
    adapter.report()

    newest, *before = adapter.materializations(root)
    assert newest[METADATA_HEAD] == str(first)
    assert (newest["dagster/row_count"], newest["records_added"], newest["offsets"]) == (3, 0, "[0, 2]")
    assert [said["dagster/row_count"] for said in before] == [7, 3]
    adapter.parts.push(root.id, records=5)
    adapter.report()
    assert adapter.materializations(root)[0]["records_added"] == 5
    assert len(adapter.materializations(root)) == 4


def test_a_chain_without_data_is_told_of_as_empty_once(adapter: Adapter) -> None:
    root = adapter.pushed_root()
    adapter.parts.push(root.id)
    adapter.report()

    reset(adapter, root.id, None)
    adapter.report()
    with adapter.parts.database.transaction() as tx:
        adapter.parts.outbox.advance(tx, CONSUMER, 0)
    adapter.report()

    newest, _ = adapter.materializations(root)
    assert (newest["dagster/row_count"], newest["records_added"]) == (0, 0)


def reset(adapter: Adapter, dataset: DatasetID, to: Multihash | None) -> None:
    parts = adapter.parts
    reorganization = Reorganization(
        datasets=parts.datasets,
        database=parts.database,
        chains=parts.chains,
        committer=parts.committer,
        outbox=parts.outbox,
        volumes=parts.heart.volumes,
        pool=InThisProcess(),
        clock=parts.clock,
    )
    reorganization.reset(ADMIN, dataset, ResetOptions(new_head=to))
