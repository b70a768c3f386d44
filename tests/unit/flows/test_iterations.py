"""Sources that have more than one flow takes."""

from __future__ import annotations

import pytest

from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.arguments import IngestArguments
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.errors import InvalidFlowConfigError
from kamu_assets.flows.model import Binding, Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.flows.results import DataAdded
from kamu_assets.flows.retrying import FlowConfig
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

MORE, LAST = DataAdded(1, 2, has_more=True), DataAdded(1, 2)
DONE = FlowOutcome(OutcomeKind.SUCCESS)
ASKED, FOLLOWS = CauseKind.MANUAL, CauseKind.ITERATION_FINISHED


def achieve(flows: Flows, flow: Flow, result: DataAdded) -> str:
    """What its worker tells before its run ends."""
    Achievements(flows.heart.database).note(str(flow.run_id), flow.scope, result)
    return str(flow.run_id)


@pytest.mark.parametrize(
    ("next_one", "expected"), [(True, [ASKED, FOLLOWS]), (False, [ASKED]), (None, [ASKED])], ids=str
)
def test_the_next_flow_takes_what_the_source_has_more(
    flows: Flows, *, next_one: bool | None, expected: list[CauseKind]
) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(ingest=IngestArguments(fetch_next_iteration=next_one)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    run_id = achieve(flows, flows.only(root), MORE)
    assert flows.service.asked_of(run_id, root.id).ingest == IngestArguments(fetch_next_iteration=next_one)

    flows.service.run_finished(run_id, DONE)
    flows.clock.advance(1)
    flows.scheduler.step()

    assert [flow.cause.kind for flow in flows.of(root)] == expected


def test_a_flow_that_follows_ends_when_there_is_no_more(flows: Flows) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(ingest=IngestArguments(fetch_next_iteration=True)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    # Its worker dies after its run has ended, and before it can tell.
    achieve(flows, flows.only(root), MORE)
    flows.orchestrator.become(flows.only(root).run_id, RunState.SUCCEEDED)
    flows.scheduler.reconcile()
    flows.clock.advance(1)
    flows.scheduler.step()

    flows.service.run_finished(achieve(flows, flows.of(root)[1], LAST), DONE)

    assert [flow.state for flow in flows.of(root)] == [FlowState.FINISHED, FlowState.FINISHED]
    assert [flow.result for flow in flows.of(root)] == [MORE, LAST]


def test_what_was_asked_for_once_holds_for_all_that_follows(flows: Flows) -> None:
    root = flows.root()
    asked = FlowConfig(ingest=IngestArguments(fetch_uncacheable=True, fetch_next_iteration=True))
    with flows.heart.database.transaction() as tx:
        first = flows.service.life.want(tx, Binding(root.id, FlowType.INGEST), FlowCause(CauseKind.MANUAL))
        flows.service.life.configure(tx, first, asked)
    flows.scheduler.step()

    flows.service.run_finished(achieve(flows, flows.only(root), MORE), DONE)
    flows.service.request_run(ADMIN, root.id)
    flows.clock.advance(1)
    flows.scheduler.step()
    flows.service.run_finished(achieve(flows, flows.of(root)[1], LAST), DONE)
    flows.service.request_run(ADMIN, root.id)

    assert [flow.config.ingest for flow in flows.of(root)] == [asked.ingest, asked.ingest, None]


def test_arguments_are_set_for_the_flows_that_take_them(flows: Flows) -> None:
    root = flows.root()
    config = FlowConfig(ingest=IngestArguments(fetch_next_iteration=True))

    with pytest.raises(InvalidFlowConfigError, match="arguments of ingest are set for ingest, not for compaction"):
        flows.configs.set(ADMIN, root.id, config, type_=FlowType.HARD_COMPACTION)

    assert flows.configs.all(ADMIN) == {}
