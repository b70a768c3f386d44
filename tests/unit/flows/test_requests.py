"""What somebody may have done to a dataset, and what is told to whoever asks for what cannot be."""

from __future__ import annotations

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.compaction_plan import InvalidLimitError
from kamu_assets.datasets.errors import AlreadyHeadError, NewHeadNotFoundError
from kamu_assets.flows.arguments import CompactionArguments, ResetArguments
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.errors import FlowPreconditionsNotMetError, IncompatibleDatasetKindError
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.model import FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.requests import FlowRequests, FlowRunsError, InvalidArgumentsError
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.flows.scopes import SYSTEM
from kamu_assets.governance.access import Access
from kamu_assets.governance.errors import AccessDeniedError
from kamu_assets.odf.multihash import Multihash
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, account
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)
DAY = 86_400


@pytest.fixture
def requests(flows: Flows) -> FlowRequests:
    return FlowRequests(
        database=flows.heart.database,
        datasets=flows.heart.datasets,
        chains=flows.heart.chains,
        access=Access(),
        clock=flows.clock,
        resets=a_reorganization(flows.heart),
        life=flows.service.life,
    )


def test_each_type_is_a_binding_of_its_own_and_they_take_turns(flows: Flows, requests: FlowRequests) -> None:
    root = flows.root()
    limits = FlowConfig(compaction=CompactionArguments(max_slice_records=7))
    compaction = requests.run(ADMIN, root.id, FlowType.HARD_COMPACTION, limits)
    emptying = requests.run(ADMIN, root.id, FlowType.RESET_TO_METADATA)

    flows.scheduler.step()

    assert compaction.config.compaction == CompactionArguments(max_slice_records=7)
    states = {flow.id: flow.state for flow in flows.of(root)}
    assert sorted(states) == sorted([compaction.id, emptying.id])
    assert sorted(states.values()) == [FlowState.RUNNING, FlowState.WAITING]


def test_who_verifies_waits_for_nobody(flows: Flows, requests: FlowRequests) -> None:
    root = flows.root()
    requests.run(ADMIN, root.id, FlowType.VERIFY)
    requests.run(ADMIN, root.id, FlowType.HARD_COMPACTION)

    flows.scheduler.step()

    assert [flow.state for flow in flows.of(root)] == [FlowState.RUNNING] * 2


def test_what_waits_does_what_the_last_one_said(flows: Flows, requests: FlowRequests) -> None:
    root = flows.root()
    first = requests.run(ADMIN, root.id, FlowType.HARD_COMPACTION)

    limits = CompactionArguments(max_slice_size=9)
    again = requests.run(ADMIN, root.id, FlowType.HARD_COMPACTION, FlowConfig(compaction=limits))

    assert (again.id, flows.only(root).config.compaction) == (first.id, limits)
    told = [event for event in flows.service.events(ADMIN, first.id) if event.kind is EventKind.CONFIG_MODIFIED]
    assert [event.what.config and event.what.config.compaction for event in told] == [limits]


def test_what_runs_is_told_nothing_else(flows: Flows, requests: FlowRequests) -> None:
    root = flows.root()
    running = requests.run(ADMIN, root.id, FlowType.RESET, FlowConfig(reset=ResetArguments()))
    flows.scheduler.step()

    with pytest.raises(FlowRunsError, match=f"flow {running.id} of this type is running"):
        requests.run(ADMIN, root.id, FlowType.RESET, FlowConfig(reset=ResetArguments()))


def test_types_are_for_kinds(flows: Flows, requests: FlowRequests) -> None:
    derivative = flows.derivative("derivative", flows.root())

    with pytest.raises(IncompatibleDatasetKindError, match="done to Root datasets only, not to Derivative ones"):
        requests.run(ADMIN, derivative.id, FlowType.HARD_COMPACTION)
    with pytest.raises(InvalidArgumentsError, match="not about one dataset"):
        requests.run(ADMIN, derivative.id, FlowType.SYSTEM_GC)


def test_chains_have_what_flows_work_with(flows: Flows, requests: FlowRequests) -> None:
    root = flows.heart.dataset("pushed")

    with pytest.raises(FlowPreconditionsNotMetError, match="has no SetPollingSource"):
        requests.run(ADMIN, root.id, FlowType.INGEST)


def test_arguments_make_sense(flows: Flows, requests: FlowRequests) -> None:
    root = flows.root()
    head = flows.heart.chains.head(root.id)

    with pytest.raises(InvalidLimitError, match="Maximum slice size must be a positive number"):
        requests.run(
            ADMIN, root.id, FlowType.HARD_COMPACTION, FlowConfig(compaction=CompactionArguments(max_slice_size=0))
        )
    with pytest.raises(InvalidArgumentsError, match="needs the block"):
        requests.run(ADMIN, root.id, FlowType.RESET)
    with pytest.raises(InvalidArgumentsError, match="take no arguments of reset"):
        requests.run(ADMIN, root.id, FlowType.VERIFY, FlowConfig(reset=ResetArguments()))
    with pytest.raises(NewHeadNotFoundError):
        requests.run(
            ADMIN, root.id, FlowType.RESET, FlowConfig(reset=ResetArguments(new_head=Multihash.sha3_256(b"other")))
        )
    with pytest.raises(AlreadyHeadError):
        requests.run(ADMIN, root.id, FlowType.RESET, FlowConfig(reset=ResetArguments(new_head=head)))
    assert flows.of(root) == []


def test_others_have_nothing_done(flows: Flows, requests: FlowRequests) -> None:
    with pytest.raises(AccessDeniedError):
        requests.run(Caller(account("other")), flows.root().id, FlowType.RESET_TO_METADATA)
    with pytest.raises(AccessDeniedError):
        requests.collect(Caller(account("other")))


def test_garbage_is_collected_now_and_then(flows: Flows, requests: FlowRequests) -> None:
    def look(every: float) -> None:
        with flows.heart.database.transaction() as tx:
            requests.collect_if_due(tx, every=every)

    look(0)
    look(DAY)
    assert flows.service.list(ADMIN) == []
    flows.clock.advance(DAY)

    for _ in range(2):
        look(DAY)
    (flow,) = flows.service.list(ADMIN)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.service.get(ADMIN, flow.id).run_id), DONE)
    look(DAY)

    (ended,) = flows.service.list(ADMIN)
    flows.clock.advance(DAY)
    look(DAY)
    flows.service.cancel(ADMIN, flows.service.list(ADMIN)[0].id)
    look(DAY)
    assert len(flows.service.list(ADMIN)) == 2
    assert (ended.scope, ended.cause.kind, ended.outcome) == (SYSTEM, CauseKind.AUTO_POLLING, DONE)
