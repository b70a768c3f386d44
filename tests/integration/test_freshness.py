"""What Dagster is told of how fresh datasets are: changes, each once, whoever tells them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from dagster._core.definitions.freshness import FreshnessState

from kamu_assets.clock import ManualClock
from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.datasets.messages import DatasetDeleted
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.messages import FlowFinished, TriggerChanged
from kamu_assets.flows.model import FlowType, OutcomeKind
from kamu_assets.flows.processes.store import ProcessStore, Record
from kamu_assets.flows.service import updating
from kamu_assets.flows.triggers.promises import Promises
from kamu_assets.flows.triggers.rules import Interval, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.names import key_of
from kamu_assets.orchestration.reports.freshness import FreshnessReports
from tests.support.builders import START
from tests.support.dagster_adapter import Adapter
from tests.support.heart import ADMIN


@pytest.fixture(autouse=True)
def _nothing_promised(adapter: Adapter) -> None:
    """The tests of a module share a home, and count what is told of all datasets."""
    with adapter.parts.database.transaction() as tx:
        for trigger in TriggerStore().list(tx):
            TriggerStore().forget(tx, trigger.dataset_id)


def reports(adapter: Adapter, *, age: int, monotonic: Callable[[], float] = time.monotonic) -> FreshnessReports:
    """By a process that has just begun, so many seconds after what was done last."""
    clock = ManualClock(Timestamp(START.ns + age * NANOS_PER_SECOND))
    return FreshnessReports(
        instance=adapter.instance, database=adapter.parts.database, clock=clock, monotonic=monotonic
    )


def told(adapter: Adapter, entry: DatasetEntry) -> FreshnessState | None:
    key = key_of(entry.alias)
    known = adapter.instance.get_freshness_state_records([key])
    return known[key].freshness_state if key in known else None


def promise(adapter: Adapter, entry: DatasetEntry, *, paused: bool = False) -> None:
    """To be up to date once an hour, as it was at the start."""
    trigger = Trigger(entry.id, updating(entry).type, Interval(3600), paused_at=START if paused else None)
    with adapter.parts.database.transaction() as tx:
        TriggerStore().set(tx, trigger)
        ProcessStore().save(tx, updating(entry), Record(last_success_at=START))


def test_datasets_grow_late_and_then_too_late(adapter: Adapter) -> None:
    root = adapter.polled_root()
    promise(adapter, root)

    for age, state in ((0, FreshnessState.PASS), (5400, FreshnessState.WARN), (7200, FreshnessState.FAIL)):
        assert reports(adapter, age=age).report() == 1
        assert told(adapter, root) is state
        # A leader that takes over tells nothing again.
        assert reports(adapter, age=age).report() == 0


def test_nothing_is_expected_of_what_is_paused(adapter: Adapter) -> None:
    root = adapter.polled_root()
    promise(adapter, root)
    telling = reports(adapter, age=0)
    telling.report()

    promise(adapter, root, paused=True)

    assert (telling.report(), telling.report()) == (1, 0)
    assert told(adapter, root) is FreshnessState.NOT_APPLICABLE


def test_what_was_never_done_is_not_told_of(adapter: Adapter) -> None:
    root = adapter.polled_root()
    trigger = Trigger(root.id, updating(root).type, Interval(3600))
    with adapter.parts.database.transaction() as tx:
        TriggerStore().set(tx, trigger)

    assert reports(adapter, age=0).report() == 0
    assert told(adapter, root) is None


def test_what_is_new_of_a_dataset_is_told_without_a_look_at_all(adapter: Adapter) -> None:
    first, second = adapter.polled_root(), adapter.polled_root()
    telling = reports(adapter, age=0)
    telling.step()
    promise(adapter, first)
    promise(adapter, second)

    telling.hear([TriggerChanged(dataset_id=first.id)])
    telling.step()
    seen = [told(adapter, root) for root in (first, second)]
    done = FlowFinished(flow_id="1", dataset_id=second.id, type=FlowType.INGEST, outcome=OutcomeKind.UP_TO_DATE)
    telling.hear([done])
    telling.step()
    promise(adapter, first, paused=True)
    telling.hear([TriggerChanged(dataset_id=first.id)])
    telling.step()

    assert seen == [FreshnessState.PASS, None]
    assert told(adapter, second) is FreshnessState.PASS
    assert told(adapter, first) is FreshnessState.NOT_APPLICABLE
    assert telling.report() == 0


def test_news_that_come_while_the_database_is_away_are_told_after_it(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, fresh = adapter.polled_root(), reports(adapter, age=0)
    fresh.step()
    promise(adapter, root)
    fresh.hear([TriggerChanged(dataset_id=root.id)])

    with monkeypatch.context() as patch:
        patch.setattr(Promises, "all", _away)
        with pytest.raises(DatabaseBusyError):
            fresh.step()
    fresh.step()

    assert told(adapter, root) is FreshnessState.PASS


def _away(*_: object, **__: object) -> None:
    raise DatabaseBusyError


def test_all_are_looked_at_when_the_first_may_turn_late(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(adapter, adapter.polled_root())
    passed: list[float] = [0]
    looks: list[float] = []
    look = Promises.all

    def counted(*arguments: Any, **options: Any) -> Any:
        looks.append(passed[-1])
        return look(*arguments, **options)

    monkeypatch.setattr(Promises, "all", counted)
    # It is late a hundred seconds from the beginning.
    fresh = reports(adapter, age=5300, monotonic=lambda: passed[-1])
    for seconds in (0, 99, 100, 199, 200):
        passed.append(seconds)
        fresh.step()

    # The clock of these reports stands still, so that it is about to be late again and again.
    assert looks == [0, 100, 200]


def test_names_that_are_nobodys_any_more_are_not_told_of(adapter: Adapter) -> None:
    root = adapter.polled_root()
    promise(adapter, root)
    fresh = reports(adapter, age=0)
    fresh.step()
    adapter.parts.datasets.delete(ADMIN, root.id)
    with adapter.parts.database.transaction() as tx:
        TriggerStore().forget(tx, root.id)
    adapter.instance.wipe_assets([key_of(root.alias)])

    fresh.hear([DatasetDeleted(dataset_id=root.id, alias=root.alias, kind=root.kind)])
    fresh.step()

    assert fresh.report() == 0
    assert key_of(root.alias) not in adapter.instance.get_asset_keys()
