"""Times at which flows begin are told as whole steps, and nothing begins later for that."""

from __future__ import annotations

import pytest

from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.model import FlowState
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

NOW = Timestamp(START.ns + 1_700_000_000)


@pytest.mark.parametrize(("seconds", "told"), [(1.0, 1_000_000_000), (0.5, 1_500_000_000), (0.0, 1_700_000_000)])
def test_a_moment_belongs_to_a_step(seconds: float, told: int) -> None:
    assert FlowRules(awaiting_step_seconds=seconds).step_of(NOW) == Timestamp(START.ns + told)


def test_what_begins_now_begins_at_once(flows: Flows) -> None:
    root = flows.root()
    flows.clock.set(NOW)

    planned = flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.scheduler.step()

    flow = flows.only(root)
    assert flow.state is FlowState.RUNNING
    assert (planned.next_due, flow.created_at, flow.first_scheduled_at) == (Timestamp(START.ns + 1_000_000_000),) * 3
    assert flow.submitted_at == NOW
    # Planned once, although it was planned by the rule and by whoever set that.
    kinds = [event.kind for event in flows.service.events(ADMIN, flow.id)]
    assert kinds.count(EventKind.SCHEDULED) == 1
