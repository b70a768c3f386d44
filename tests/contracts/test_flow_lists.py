"""Pages of flows: filters, counts, order, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.database.database import Database
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.history.listing import FlowFilter, FlowLists
from kamu_assets.flows.history.orders import FlowOrder
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.scopes import SYSTEM
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.identity import AccountID, DatasetID
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from tests.support.builders import START, a_dataset_id
from tests.support.heart import an_entry

ALICE, BOB = AccountID.seeded(b"alice"), AccountID.seeded(b"bob")
ONE, TWO, GONE = (a_dataset_id(name) for name in ("one", "two", "gone"))


@pytest.fixture
def lists(database: Database) -> FlowLists:
    """Of two accounts' datasets, one that was deleted, and the node itself; the flows have the numbers 1 to 9."""
    numbers = count()
    flows = [
        replace(_flow(ONE, FlowState.FINISHED, account=ALICE), outcome=FlowOutcome(OutcomeKind.SUCCESS)),
        replace(_flow(ONE, FlowState.FINISHED, account=BOB), outcome=FlowOutcome(OutcomeKind.FAILED, "why")),
        _flow(ONE, FlowState.WAITING),
        replace(_flow(ONE, FlowState.RUNNING, type_=FlowType.RESET), attempt=1),
        replace(_flow(ONE, FlowState.RUNNING, type_=FlowType.VERIFY), attempt=2, started_at=START),
        replace(_flow(TWO, FlowState.RUNNING, account=BOB), attempt=2),
        _flow(TWO, FlowState.RETRYING, type_=FlowType.VERIFY),
        replace(_flow(GONE, FlowState.FINISHED), outcome=FlowOutcome(OutcomeKind.ABORTED)),
        replace(_flow(ONE, FlowState.WAITING, type_=FlowType.SYSTEM_GC), scope=SYSTEM),
    ]
    with database.transaction() as tx:
        for id_, owner in ((ONE, ALICE), (TWO, BOB)):
            DatasetStore().add(tx, replace(an_entry(f"dataset{next(numbers)}"), id=id_, owner=owner))
        kept = [FlowStore().add(tx, flow) for flow in flows]
    assert [flow.id for flow in kept if flow] == list(range(1, 10))
    return FlowLists(database)


def _flow(
    dataset: DatasetID, state: FlowState, *, type_: FlowType = FlowType.INGEST, account: AccountID | None = None
) -> Flow:
    kind = CauseKind.AUTO_POLLING if account is None else CauseKind.MANUAL
    return Flow(
        id=0,
        scope=dataset,
        type=type_,
        causes=(FlowCause(kind, account=account, at=START),),
        state=state,
        created_at=START,
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (FlowFilter(), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (FlowFilter(datasets=[TWO]), [7, 6]),
        (FlowFilter(datasets=[]), []),
        (FlowFilter(owner=ALICE), [5, 4, 3, 2, 1]),
        (FlowFilter(owner=BOB, types=[FlowType.VERIFY]), [7]),
        (FlowFilter(types=[FlowType.RESET, FlowType.SYSTEM_GC]), [9, 4]),
        (FlowFilter(types=[]), []),
        (FlowFilter(outcomes=[OutcomeKind.FAILED]), [2]),
        (FlowFilter(outcomes=[OutcomeKind.ABORTED, OutcomeKind.SUCCESS], datasets=[ONE, GONE]), [8, 1]),
        (FlowFilter(outcomes=[]), []),
        (FlowFilter(initiators=[BOB]), [6, 2]),
        (FlowFilter(initiators=[ALICE, None]), [9, 8, 7, 5, 4, 3, 1]),
        (FlowFilter(initiators=[]), []),
        (FlowFilter(statuses=[FlowState.FINISHED]), [8, 2, 1]),
        # What has a run that no executor has taken is shown as waiting, or as retrying after its first attempt.
        (FlowFilter(statuses=[FlowState.WAITING]), [9, 4, 3]),
        (FlowFilter(statuses=[FlowState.RUNNING]), [5]),
        (FlowFilter(statuses=[FlowState.RETRYING, FlowState.RUNNING]), [7, 6, 5]),
        (FlowFilter(statuses=[]), []),
        (FlowFilter(datasets=[ONE], statuses=[FlowState.FINISHED], initiators=[BOB]), [2]),
    ],
)
def test_a_filter_lets_those_through_that_have_all_it_names(
    lists: FlowLists, wanted: FlowFilter, found: list[int]
) -> None:
    page = lists.page(ANONYMOUS, wanted)

    assert [flow.id for flow in page.flows] == found
    assert page.total == len(found)
    if wanted.statuses is not None:
        assert {flow.status for flow in page.flows} <= set(wanted.statuses)


@pytest.fixture
def queue(database: Database) -> FlowLists:
    """Flows of every state; the seconds at which something happened to them last are not those of their numbers."""

    def at(second: int) -> Timestamp:
        return Timestamp(START.ns + second * NANOS_PER_SECOND)

    base = _flow(ONE, FlowState.FINISHED)
    flows = [
        replace(base, finished_at=at(9), scheduled_at=at(0)),
        replace(base, finished_at=at(3), scheduled_at=at(1)),
        replace(_flow(ONE, FlowState.RUNNING), attempt=1, submitted_at=at(4), started_at=at(5), scheduled_at=at(4)),
        replace(_flow(TWO, FlowState.RETRYING), attempt=1, attempt_ended_at=at(6), scheduled_at=at(20)),
        replace(_flow(GONE, FlowState.WAITING), created_at=at(8), scheduled_at=at(70)),
        replace(
            _flow(TWO, FlowState.RUNNING, type_=FlowType.VERIFY), attempt=1, submitted_at=at(7), scheduled_at=at(7)
        ),
        replace(_flow(ONE, FlowState.WAITING, type_=FlowType.VERIFY), created_at=at(1), scheduled_at=at(30)),
        replace(base, finished_at=at(9), scheduled_at=at(2)),
    ]
    with database.transaction() as tx:
        for flow in flows:
            FlowStore().add(tx, flow)
    return FlowLists(database)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (FlowOrder.NEWEST, [8, 7, 6, 5, 4, 3, 2, 1]),
        # The one with the number 6 has a run, and no executor yet.
        (FlowOrder.QUEUE, [5, 6, 7, 3, 4, 8, 1, 2]),
        (FlowOrder.SCHEDULED_FOR_ACTIVATION, [4, 7, 5, 3, 6, 8, 1, 2]),
    ],
)
def test_flows_come_in_the_order_that_was_asked_for(queue: FlowLists, order: FlowOrder, expected: list[int]) -> None:
    whole = queue.page(ANONYMOUS, order=order)
    parts = [queue.page(ANONYMOUS, order=order, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    finished = queue.page(ANONYMOUS, FlowFilter(statuses=[FlowState.FINISHED]), order=order)

    assert [flow.id for flow in whole.flows] == expected
    assert [flow.id for page in parts for flow in page.flows] == expected
    assert {page.total for page in (whole, *parts)} == {8}
    assert [flow.id for flow in finished.flows] == [number for number in expected if number in (1, 2, 8)]


def test_pages_follow_each_other_and_count_all_pages(lists: FlowLists) -> None:
    wanted = FlowFilter(owner=ALICE)

    pages = [lists.page(ANONYMOUS, wanted, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    next_ = lists.page(ANONYMOUS, wanted, limit=2, before=4)

    assert [[flow.id for flow in page.flows] for page in pages] == [[5, 4], [3, 2], [1], []]
    assert {page.total for page in (*pages, next_)} == {5}
    assert [flow.id for flow in next_.flows] == [3, 2]
