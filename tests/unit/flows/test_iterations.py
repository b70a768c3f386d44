"""Sources that have more than one flow takes."""

from __future__ import annotations

import pytest

from kamu_assets.flows.arguments import IngestArguments
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.flows.retrying import FlowConfig
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

MORE = FlowOutcome(OutcomeKind.SUCCESS, has_more=True)


ASKED, FOLLOWS = CauseKind.MANUAL, CauseKind.ITERATION_FINISHED


@pytest.mark.parametrize(("next_one", "expected"), [(True, [ASKED, FOLLOWS]), (False, [ASKED])])
def test_the_next_flow_takes_what_the_source_has_more(
    flows: Flows,
    next_one: bool,  # noqa: FBT001 - a parameter of the test
    expected: list[CauseKind],
) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(ingest=IngestArguments(fetch_next_iteration=next_one)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    run_id = str(flows.only(root).run_id)
    assert flows.service.asked_of(run_id, root.id).ingest == IngestArguments(fetch_next_iteration=next_one)

    flows.service.run_finished(run_id, MORE)
    flows.clock.advance(1)
    flows.scheduler.step()

    assert [flow.cause.kind for flow in flows.of(root)] == expected


def test_a_flow_that_follows_ends_when_there_is_no_more(flows: Flows) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(ingest=IngestArguments(fetch_next_iteration=True)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    # Its worker could not tell.
    flows.orchestrator.runs[str(flows.only(root).run_id)] = RunStatus(RunState.SUCCEEDED, has_more=True)
    flows.scheduler.reconcile()
    flows.clock.advance(1)
    flows.scheduler.step()

    flows.service.run_finished(str(flows.of(root)[1].run_id), FlowOutcome(OutcomeKind.SUCCESS))

    assert [flow.state for flow in flows.of(root)] == [FlowState.FINISHED, FlowState.FINISHED]
