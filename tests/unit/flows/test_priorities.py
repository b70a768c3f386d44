"""What goes first."""

from __future__ import annotations

import pytest

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.priorities import InvalidPriorityError, check_priority, priority
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.flows.triggers.rules import Interval
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

BY_HAND, IN_UI, NEWS, TIME = (
    FlowCause(kind)
    for kind in (CauseKind.MANUAL, CauseKind.DAGSTER_UI, CauseKind.INPUT_UPDATED, CauseKind.AUTO_POLLING)
)


def test_who_asks_goes_before_news_news_before_times_and_upkeep_last() -> None:
    assert priority([BY_HAND]) == priority([IN_UI]) > priority([NEWS]) > priority([TIME])
    assert priority([BY_HAND], is_maintenance=True) > priority([TIME]) > priority([TIME], is_maintenance=True)


def test_the_most_urgent_cause_counts_and_a_dataset_may_be_put_forward() -> None:
    assert priority([TIME, NEWS, BY_HAND]) == priority([BY_HAND])
    assert priority([TIME], 250) > priority([BY_HAND])


@pytest.mark.parametrize("change", [1001, -1001])
def test_a_dataset_is_not_put_forward_without_end(flows: Flows, change: int) -> None:
    with pytest.raises(InvalidPriorityError):
        check_priority(change)
    with pytest.raises(InvalidPriorityError):
        flows.configs.set(ADMIN, flows.root().id, FlowConfig(priority=change))


def test_flows_begin_in_the_order_of_their_urgency(flows: Flows) -> None:
    """Of one account; there is room for three."""
    roots = [flows.root(f"root{number}") for number in range(6)]
    flows.configs.set(ADMIN, roots[4].id, FlowConfig(priority=300))
    for root in roots[:5]:
        flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.clock.advance(1)
    flows.service.request_run(ADMIN, roots[5].id)
    flows.scheduler.step()

    begun = [flow for root in roots for flow in flows.of(root) if flow.run_id]

    order = sorted(begun, key=lambda flow: flows.orchestrator.submitted.index(str(flow.run_id)))
    assert [flow.dataset_id for flow in order] == [roots[4].id, roots[5].id, roots[0].id]
