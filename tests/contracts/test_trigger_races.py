"""Rules of flows that are changed while one of their flows ends, alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from kamu_assets.database.database import Database
from kamu_assets.flows.model import FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import Interval
from tests.support.heart import ADMIN, open_heart
from tests.support.waiting import wait_until
from tests.unit.flows.conftest import Flows, wired

DONE = FlowOutcome(OutcomeKind.SUCCESS)
LASTING = FlowOutcome(OutcomeKind.FAILED, "no such column", recoverable=False)


@pytest.fixture
def flows(migrated_url: str, tmp_path: Path) -> Iterator[Flows]:
    heart = open_heart(tmp_path, url=migrated_url)
    yield wired(heart)
    heart.database.close()


@pytest.mark.parametrize("outcome", [DONE, LASTING], ids=["done", "failed"])
@pytest.mark.parametrize("change", ["set", "pause"])
def test_whoever_changes_a_rule_sees_the_end_of_its_flow(flows: Flows, change: str, outcome: FlowOutcome) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(60))
    flows.scheduler.step()
    rule = (Interval(90),) if change == "set" else ()
    with ThreadPoolExecutor(1) as others:
        with flows.heart.database.transaction() as tx:
            (flow,) = FlowStore().by_run(tx, str(flows.only(root).run_id), lock=True)
            changing = others.submit(getattr(flows.triggers, change), ADMIN, root.id, *rule)
            wait_until(lambda: somebody_waits(flows.heart.database))
            flows.service.life.end(tx, flow, outcome)
        changing.result()

    (planned,) = flows.triggers.list(ADMIN)
    assert flows.of(root)[0].outcome == outcome
    assert (planned.trigger.paused, planned.trigger.stopped_at is not None) == (
        change == "pause",
        change == "pause" and outcome == LASTING,
    )
    assert len(flows.of(root, FlowState.WAITING)) == (change == "set")


def somebody_waits(database: Database) -> bool:
    """For us; on SQLite whoever writes is alone."""
    if database.file is not None:
        return True
    with database.reading() as tx:
        return tx.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first() is not None
