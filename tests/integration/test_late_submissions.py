"""A scheduler that has been deposed may not know it yet: what it submits after that has no effect."""

from __future__ import annotations

from dagster import DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import OutcomeKind
from tests.support.dagster_adapter import Adapter
from tests.support.heart import ADMIN


def records(adapter: Adapter, dataset: DatasetEntry) -> int:
    return adapter.parts.chains.state(dataset.id).next_offset


def test_a_run_is_not_executed_whose_flow_was_ended_meanwhile(adapter: Adapter) -> None:
    polled = adapter.polled_root()
    flow = adapter.parts.flows.request_run(ADMIN, polled.id)
    submit = adapter.scheduler._submit
    taken = list(adapter.scheduler._take_ready(adapter.parts.clock.now()))
    # Here it is deposed, and its successor hears of a cancellation.
    adapter.parts.flows.cancel(ADMIN, flow.id)
    adapter.scheduler.reconcile()
    (ended,) = adapter.parts.finished(polled.id)
    assert ended.outcome is not None
    assert ended.outcome.kind is OutcomeKind.ABORTED

    for each in taken:
        submit(each)
    assert adapter.work() == 1

    assert adapter.run_of(polled).status is DagsterRunStatus.CANCELED
    assert records(adapter, polled) == 0
    assert adapter.parts.finished(polled.id) == [ended]


def test_a_run_that_is_submitted_after_its_end_is_not_executed_again(adapter: Adapter) -> None:
    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.settle()
    (ended,) = adapter.parts.finished(polled.id)

    # The worker was quicker than the look of a slow scheduler at what became of the run.
    adapter.instance.launch_run(str(ended.run_id), workspace=None)  # type: ignore[arg-type] # only the UI has one
    assert adapter.work() == 1

    assert records(adapter, polled) == 10
    assert adapter.parts.finished(polled.id) == [ended]
    assert len(adapter.materializations(polled)) == 1
