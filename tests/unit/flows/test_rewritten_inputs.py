"""What happens to derivatives whose inputs are reset or compacted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.causes import CauseKind, UpdateSource
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind, WaitKind
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import BreakingChange, Reactive, StopReason
from kamu_assets.odf.multihash import Multihash
from tests.support.heart import ADMIN
from tests.unit.flows.computing import Computing
from tests.unit.flows.conftest import Flows

RECOVER = BreakingChange.RECOVER
TRANSFORM, EMPTY = FlowType.EXECUTE_TRANSFORM, FlowType.RESET_TO_METADATA


@dataclass
class Pipeline:
    """A root, what is computed of it and what is computed of that; all has been read."""

    flows: Flows
    computing: Computing
    root: DatasetEntry
    reader: DatasetEntry
    last: DatasetEntry
    # Where the root can be reset to.
    before: Multihash

    def settle(self) -> None:
        """Let all run that there is to be run."""
        self.flows.scheduler.step()
        while running := self._running():
            for flow in running:
                self.flows.service.run_finished(str(flow.run_id), self.computing.run(flow))
            self.flows.clock.advance(1)
            self.flows.scheduler.step()

    def reset(self) -> None:
        self.computing.reset(self.root, self.before)

    def after(self, dataset: DatasetEntry, number: int = 2) -> list[Flow]:
        """Flows of a dataset after so many."""
        return self.flows.of(dataset)[number:]

    def trigger(self, dataset: DatasetEntry, rule: Reactive) -> None:
        self.flows.triggers.set(ADMIN, dataset.id, rule, stop_after=1)

    def stop_reason(self, dataset: DatasetEntry) -> StopReason | None:
        found = [each.trigger for each in self.flows.triggers.list(ADMIN) if each.trigger.dataset_id == dataset.id]
        return found[0].stop_reason

    def _running(self) -> list[Flow]:
        with self.flows.heart.database.reading() as tx:
            return list(FlowStore().running(tx))


@pytest.fixture
def pipeline(flows: Flows) -> Pipeline:
    root = flows.root()
    reader = flows.derivative("reader", root)
    last = flows.derivative("last", reader)
    flows.push(root)
    found = Pipeline(flows, Computing(flows.heart), root, reader, last, flows.heart.chains.head(root.id))
    found.settle()
    flows.push(root)
    found.settle()
    assert [len(flows.of(each)) for each in (reader, last)] == [2, 2]
    return found


def test_derivatives_that_recover_drop_their_rows_and_are_computed_anew(pipeline: Pipeline) -> None:
    for dataset in (pipeline.reader, pipeline.last):
        pipeline.trigger(dataset, Reactive(breaking_change=RECOVER))

    pipeline.reset()
    pipeline.settle()

    emptied, computed = pipeline.after(pipeline.reader)
    assert (emptied.type, computed.type) == (EMPTY, TRANSFORM)
    assert (emptied.cause.kind, emptied.cause.input) == (CauseKind.INPUT_UPDATED, pipeline.root.id)
    assert (computed.cause.input, computed.cause.source) == (pipeline.root.id, UpdateSource.FOUND)
    # That was a breaking change for the next.
    emptied, computed = pipeline.after(pipeline.last)
    assert (emptied.type, computed.type) == (EMPTY, TRANSFORM)
    assert (emptied.cause.input, emptied.cause.source) == (pipeline.reader.id, UpdateSource.UPSTREAM_FLOW)
    assert computed.outcome == FlowOutcome(OutcomeKind.SUCCESS)
    assert [pipeline.computing.compute(each.id).kind for each in (pipeline.reader, pipeline.last)] == ["UP_TO_DATE"] * 2


def test_a_flow_that_empties_says_why_it_does(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(1000, 3600, RECOVER))
    pipeline.flows.scheduler.step()

    pipeline.reset()
    pipeline.flows.scheduler.step()

    (emptied,) = pipeline.after(pipeline.reader)
    events = pipeline.flows.service.events(ADMIN, emptied.id)
    condition = next(event.what.condition for event in events if event.what.condition)
    assert (condition.kind, condition.breaking, emptied.state) == (WaitKind.REACTIVE, True, FlowState.RUNNING)


def test_nobody_waits_for_a_batch_of_what_was_dropped(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(1000, 3600, RECOVER))
    pipeline.flows.scheduler.step()

    pipeline.reset()
    pipeline.settle()

    assert [(flow.type, flow.state) for flow in pipeline.after(pipeline.reader)] == [
        (EMPTY, FlowState.FINISHED),
        (TRANSFORM, FlowState.FINISHED),
    ]


def test_nothing_is_done_about_it_where_nobody_said_so(pipeline: Pipeline) -> None:
    """KF-10"""
    pipeline.trigger(pipeline.reader, Reactive())

    pipeline.reset()
    pipeline.settle()
    assert pipeline.after(pipeline.reader) == []
    pipeline.flows.push(pipeline.root)
    pipeline.settle()

    (failed,) = pipeline.after(pipeline.reader)
    assert failed.outcome is not None
    assert (failed.outcome.recoverable, failed.outcome.rewritten_input) == (False, pipeline.root.id)
    assert pipeline.stop_reason(pipeline.reader) is StopReason.UNRECOVERABLE_FAILURE
    (attempt,) = pipeline.flows.service.attempts(ADMIN, failed.id)
    assert attempt.outcome == failed.outcome


def test_what_waits_to_be_computed_is_emptied_first(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(breaking_change=RECOVER))
    pipeline.flows.push(pipeline.root)
    pipeline.reset()
    pipeline.flows.service.request_run(ADMIN, pipeline.reader.id)

    pipeline.settle()

    assert [
        (flow.type, flow.outcome) for flow in sorted(pipeline.after(pipeline.reader), key=lambda flow: flow.type)
    ] == [
        (TRANSFORM, FlowOutcome(OutcomeKind.SUCCESS)),
        (EMPTY, FlowOutcome(OutcomeKind.SUCCESS)),
    ]


def test_a_rewrite_that_overtakes_a_run_is_recovered_from_as_well(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(breaking_change=RECOVER))
    pipeline.flows.push(pipeline.root)
    pipeline.flows.scheduler.step()
    (running,) = pipeline.after(pipeline.reader)
    pipeline.reset()
    # It finds out before the scheduler hears of it.
    pipeline.flows.service.run_finished(str(running.run_id), pipeline.computing.run(running))

    pipeline.settle()

    assert pipeline.stop_reason(pipeline.reader) is None
    assert [flow.type for flow in pipeline.after(pipeline.reader)] == [TRANSFORM, EMPTY, TRANSFORM]
    assert pipeline.flows.of(pipeline.reader)[-1].outcome == FlowOutcome(OutcomeKind.SUCCESS)


def test_a_rewrite_that_nobody_heard_of_is_found_when_a_trigger_is_resumed(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(breaking_change=RECOVER))
    pipeline.flows.triggers.pause(ADMIN, pipeline.reader.id)
    pipeline.reset()
    pipeline.settle()
    assert pipeline.after(pipeline.reader) == []

    pipeline.flows.triggers.resume(ADMIN, pipeline.reader.id)
    pipeline.settle()

    assert [flow.type for flow in pipeline.after(pipeline.reader)] == [EMPTY, TRANSFORM]


def test_what_never_read_an_input_has_nothing_to_recover_from(flows: Flows) -> None:
    root = flows.root()
    before = flows.heart.chains.head(root.id)
    reader = flows.derivative("reader", root)
    flows.triggers.set(ADMIN, reader.id, Reactive(1000, 3600, RECOVER))
    flows.push(root)

    Computing(flows.heart).reset(root, before)
    flows.scheduler.step()

    assert [flow.type for flow in flows.of(reader)] == [TRANSFORM]


def test_whoever_empties_a_derivative_by_hand_sees_it_computed_anew(pipeline: Pipeline) -> None:
    pipeline.computing.empty(pipeline.reader.id)

    pipeline.settle()

    (computed,) = pipeline.after(pipeline.reader)
    assert (computed.type, computed.outcome) == (TRANSFORM, FlowOutcome(OutcomeKind.SUCCESS))


def test_whoever_empties_what_waits_for_a_batch_does_not_wait_for_it(pipeline: Pipeline) -> None:
    pipeline.trigger(pipeline.reader, Reactive(1000, 3600))
    pipeline.flows.push(pipeline.root)
    pipeline.flows.scheduler.step()
    (waiting,) = pipeline.after(pipeline.reader)
    assert waiting.state is FlowState.WAITING

    pipeline.computing.empty(pipeline.reader.id)
    pipeline.settle()

    (computed,) = pipeline.after(pipeline.reader)
    assert (computed.id, computed.outcome) == (waiting.id, FlowOutcome(OutcomeKind.SUCCESS))
    # All of the root, counted once.
    assert computed.cause.records == pipeline.flows.heart.chains.state(pipeline.root.id).next_offset
