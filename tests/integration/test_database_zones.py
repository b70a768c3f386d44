"""Moments stay what they are, whatever the time zones of the database and of the machine (trial DS-13)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from kamu_assets.flows.model import FlowOutcome, OutcomeKind
from kamu_assets.flows.triggers.rules import Cron, Interval
from kamu_assets.odf.timestamp import Timestamp
from tests.support.heart import ADMIN, open_heart
from tests.unit.flows.conftest import Flows, wired

# Clocks go back in London an hour later, and in Chicago a week later.
BEFORE_THE_CHANGE = Timestamp.parse("2024-10-27T00:30:00Z")
NEXT_FULL_HOURS = ["2024-10-27T01:00:00Z", "2024-10-27T02:00:00Z", "2024-10-27T03:00:00Z"]


@pytest.fixture
def flows(postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flows]:
    _set_zone_of_database(postgres_database, "America/Chicago")
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    heart = open_heart(tmp_path, url=postgres_database)
    heart.clock.set(BEFORE_THE_CHANGE)
    yield wired(heart)
    heart.database.close()
    monkeypatch.undo()
    time.tzset()


def _set_zone_of_database(url: str, zone: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        name = connection.execute(text("select current_database()")).scalar_one()
        connection.execute(text(f"alter database \"{name}\" set timezone = '{zone}'"))
    engine.dispose()


def test_rules_of_time_keep_to_utc_across_a_change_of_clocks(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Cron("0 * * * *"))
    due = []

    for _ in range(3):
        due.append(str(flows.scheduler.step()))
        flows.clock.set(Timestamp.parse(due[-1]))
        flows.scheduler.step()
        flows.service.run_finished(str(flows.of(root)[-1].run_id), FlowOutcome(OutcomeKind.SUCCESS))

    assert due == NEXT_FULL_HOURS


def test_what_is_written_down_is_the_moment_it_was(flows: Flows) -> None:
    root = flows.root()
    flows.triggers.set(ADMIN, root.id, Interval(7_200))
    flows.scheduler.step()
    started = flows.clock.now()
    run_id = str(flows.only(root).run_id)
    flows.service.run_started(run_id)
    flows.clock.advance(3_600)
    flows.push(root)

    flows.service.run_finished(run_id, FlowOutcome(OutcomeKind.SUCCESS))

    ended = flows.of(root)[0]
    assert (ended.started_at, ended.finished_at) == (started, flows.clock.now())
    (trigger,) = flows.triggers.list(ADMIN)
    assert trigger.next_due == Timestamp(flows.clock.now().ns + 7_200 * 10**9)
    block = flows.heart.chains.state(root.id)
    assert block.system_time == flows.clock.now()
