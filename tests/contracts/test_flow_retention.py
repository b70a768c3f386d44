"""Which flows are forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.history import retention
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.history.retention import FlowRetention
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.model import Binding, Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.processes.store import ProcessStore, Record
from kamu_assets.flows.scopes import SYSTEM, Scope, WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened
from tests.support.builders import START, a_dataset_id

DAY = 86_400
ROOT, OTHER = a_dataset_id("root"), a_dataset_id("other")
_NUMBERS = iter(range(10**6))


def on_day(day: float) -> Timestamp:
    return Timestamp(START.ns + round(day * DAY) * 10**9)


def ended(database: Database, day: float, scope: Scope = ROOT, type_: FlowType = FlowType.INGEST) -> int:
    """A flow with an attempt and its events."""
    flow = Flow(
        id=0,
        scope=scope,
        type=type_,
        causes=(FlowCause(CauseKind.MANUAL),),
        state=FlowState.FINISHED,
        created_at=on_day(day),
        attempt=1,
        run_id=f"run-{next(_NUMBERS)}",
        submitted_at=on_day(day),
        finished_at=on_day(day),
        outcome=FlowOutcome(OutcomeKind.SUCCESS),
    )
    with database.transaction() as tx:
        kept = FlowStore().add(tx, flow)
        assert kept is not None
        FlowHistory().queue(tx, kept)
        FlowHistory().note(tx, kept.id, on_day(day), EventKind.INITIATED)
    return kept.id


def retention_of(database: Database, *, days: float = 30, flows: int = 2) -> FlowRetention:
    return FlowRetention(database, clock=ManualClock(on_day(100)), keep_days=days, keep_flows=flows)


def left(database: Database) -> set[int]:
    """Flows that have all of what belongs to them."""
    with database.reading() as tx:
        ids = [flow.id for flow in FlowStore().list(tx, limit=10_000)]
        assert [len(FlowHistory().events(tx, each)) for each in ids] == [1] * len(ids)
        assert [len(FlowHistory().attempts(tx, each)) for each in ids] == [1] * len(ids)
    return {*ids}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)


def test_what_is_young_or_among_the_last_of_its_kind_stays(database: Database) -> None:
    old = [ended(database, day) for day in range(10)]
    young = ended(database, 80)
    compacted = ended(database, 1, ROOT, FlowType.HARD_COMPACTION)
    others = [ended(database, 1, OTHER) for _ in range(2)]
    delivered = [ended(database, 2, scope, FlowType.WEBHOOK_DELIVER) for scope in 4 * [WebhookScope("w1")]]
    system = [ended(database, 3, SYSTEM, FlowType.SYSTEM_GC) for _ in range(4)]

    removed = sum(retention_of(database).batches())

    assert left(database) == {old[-1], young, compacted, *others, *delivered[-2:], *system[-2:]}
    assert removed == 9 + 2 + 2
    assert sum(retention_of(database).batches()) == 0


def test_live_flows_and_figures_of_processes_stay(database: Database) -> None:
    live = ended(database, 0)
    binding = Binding(ROOT, FlowType.INGEST)
    with database.transaction() as tx:
        flow = FlowStore().get(tx, live)
        FlowStore().save(tx, replace(flow, state=FlowState.RETRYING, outcome=None, finished_at=None))
        ProcessStore().save(tx, binding, Record(last_success_at=on_day(1)))
    for day in range(1, 6):
        ended(database, day)

    keeper = retention_of(database, flows=1)
    list(keeper.batches())

    with database.reading() as tx:
        assert ProcessStore().get(tx, binding).last_success_at == on_day(1)
    assert live in left(database)
    assert len(left(database)) == 2
    assert keeper.runs_of_live_flows([str(flow.run_id), "run-1000"]) == {flow.run_id}


def test_whoever_stops_half_way_goes_on_another_time(database: Database) -> None:
    flows = [ended(database, day) for day in range(20)]
    begun: Iterator[int] = retention_of(database).batches()
    next(begun)
    next(begun)
    del begun

    assert left(database) == {*flows[6:]}
    list(retention_of(database).batches())
    assert left(database) == {*flows[-2:]}


def test_the_room_of_what_was_forgotten_is_used_again(migrated_sqlite: str) -> None:
    """DS-08: the database levels off."""
    sizes = []
    with opened(migrated_sqlite) as database:
        empty = pages(database)
        for month in range(4):
            for number in range(90):
                ended(database, 30 * month + number / 3, ROOT)
            clock = ManualClock(on_day(30 * (month + 1)))
            sum(FlowRetention(database, clock=clock, keep_days=10, keep_flows=2).batches())
            sizes.append(pages(database) - empty)

        assert len(left(database)) == pytest.approx(30, abs=2)

    # The first month began with nothing.
    assert sizes[3] <= sizes[1] * 1.05, sizes


def pages(database: Database) -> int:
    with database.reading() as tx:
        return int(tx.execute(text("PRAGMA page_count")).scalar_one())
