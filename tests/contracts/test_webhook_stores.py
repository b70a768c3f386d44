"""Rows of webhooks behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from kamu_assets.database.database import Database
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.processes.store import ProcessStore, Record
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.model import Delivery, DeliveryState, EventType, Subscription, SubscriptionStatus
from kamu_assets.webhooks.store import SubscriptionStore
from tests.contracts.test_flow_stores import a_flow
from tests.support.builders import START, a_dataset_id, a_hash

SUBSCRIPTIONS, DELIVERIES = SubscriptionStore(), DeliveryStore()
DATASET = a_dataset_id()


def a_subscription(id_: str = "s-1", *, dataset: DatasetID | None = DATASET, label: str = "") -> Subscription:
    return Subscription(
        id=id_,
        dataset_id=dataset,
        target_url="https://hooks.example.org/?a=1",
        event_types=(EventType.DATASET_REF_UPDATED,),
        label=label,
        status=SubscriptionStatus.ENABLED,
        secret=SecretStr("secret"),
        created_at=START,
        told_head=a_hash(),
    )


def a_delivery(id_: str = "d-1", *, subscription: str = "s-1", dataset: DatasetID = DATASET) -> Delivery:
    return Delivery(id_, subscription, EventType.DATASET_REF_UPDATED, dataset, created_at=START)


def later(seconds: float) -> Timestamp:
    return Timestamp(START.ns + round(seconds * 10**9))


class TestSubscriptions:
    """Subscriptions."""

    @pytest.mark.parametrize("dataset", [DATASET, None])
    def test_what_was_added_and_saved_is_found(self, database: Database, dataset: DatasetID | None) -> None:
        subscription = a_subscription(dataset=dataset)
        changed = replace(subscription, status=SubscriptionStatus.PAUSED, status_since=later(1), told_head=None)

        with database.transaction() as tx:
            SUBSCRIPTIONS.add(tx, subscription)
            added = SUBSCRIPTIONS.find(tx, "s-1")
            SUBSCRIPTIONS.save(tx, changed)

        with database.reading() as tx:
            assert added == subscription
            assert SUBSCRIPTIONS.find(tx, "s-1") == changed
            assert SUBSCRIPTIONS.of_dataset(tx, dataset) == [changed]
            assert SUBSCRIPTIONS.listening(tx, [DATASET]) == []

    def test_a_removed_one_is_forgotten_with_its_last_delivery(self, database: Database) -> None:
        removed = [replace(a_subscription(id_), status=SubscriptionStatus.REMOVED) for id_ in ("s-1", "s-2")]

        with database.transaction() as tx:
            for each in (*removed, a_subscription("s-3")):
                SUBSCRIPTIONS.add(tx, each)
            DELIVERIES.add(tx, a_delivery(subscription="s-1"))
            before = SUBSCRIPTIONS.forget_removed(tx)
            DELIVERIES.forget(tx, DATASET)
            after = SUBSCRIPTIONS.forget_removed(tx)

            assert (before, after) == (["s-2"], ["s-1"])
            assert SUBSCRIPTIONS.find(tx, "s-3") is not None

    def test_those_listen_that_are_enabled_and_of_the_datasets_or_of_all(self, database: Database) -> None:
        other = a_dataset_id("other")
        with database.transaction() as tx:
            for id_, dataset in (("s-1", DATASET), ("s-2", None), ("s-3", other)):
                SUBSCRIPTIONS.add(tx, a_subscription(id_, dataset=dataset))

            assert [each.id for each in SUBSCRIPTIONS.listening(tx, [DATASET])] == ["s-1", "s-2"]
            assert [each.id for each in SUBSCRIPTIONS.listening(tx, [DATASET, other])] == ["s-1", "s-2", "s-3"]
            assert [each.id for each in SUBSCRIPTIONS.listening(tx, [])] == ["s-2"]

    def test_removed_ones_are_found_by_nobody(self, database: Database) -> None:
        with database.transaction() as tx:
            SUBSCRIPTIONS.add(tx, replace(a_subscription(label="x"), status=SubscriptionStatus.REMOVED))

            assert SUBSCRIPTIONS.find(tx, "s-1") is None
            assert [*SUBSCRIPTIONS.all(tx)] == [*SUBSCRIPTIONS.of_dataset(tx, DATASET)] == []
            assert not SUBSCRIPTIONS.has_label(tx, DATASET, "x", besides=None)
            SUBSCRIPTIONS.add(tx, a_subscription("s-2", label="x"))

    def test_a_label_is_in_a_dataset_once_whoever_races(self, database: Database) -> None:
        with database.transaction() as tx:
            SUBSCRIPTIONS.add(tx, a_subscription(label="x"))
            SUBSCRIPTIONS.add(tx, a_subscription("s-2", label="x", dataset=a_dataset_id("other")))
            SUBSCRIPTIONS.add(tx, a_subscription("s-3"))
            SUBSCRIPTIONS.add(tx, a_subscription("s-4"))

        with pytest.raises(IntegrityError), database.transaction() as tx:
            SUBSCRIPTIONS.add(tx, a_subscription("s-5", label="x"))

    def test_a_datasets_ones_are_forgotten(self, database: Database) -> None:
        with database.transaction() as tx:
            for id_, dataset in (("s-1", DATASET), ("s-2", None), ("s-3", a_dataset_id("other"))):
                SUBSCRIPTIONS.add(tx, a_subscription(id_, dataset=dataset))

            SUBSCRIPTIONS.forget(tx, DATASET)

            assert [each.id for each in SUBSCRIPTIONS.all(tx)] == ["s-2", "s-3"]


class TestDeliveries:
    """Deliveries."""

    def test_what_was_added_and_saved_is_found(self, database: Database) -> None:
        delivery = replace(a_delivery(), old_hash=a_hash("1"), new_hash=a_hash("2"), is_breaking=True)
        done = replace(
            delivery,
            state=DeliveryState.FAILED,
            attempt=4,
            finished_at=later(1),
            response_status=500,
            message="The target answered 500",
        )

        with database.transaction() as tx:
            DELIVERIES.add(tx, delivery)
            waiting = DELIVERIES.waiting(tx, "s-1", DATASET, EventType.DATASET_REF_UPDATED)
            assert DELIVERIES.save(tx, done, was=delivery)

            assert waiting == delivery
            assert DELIVERIES.hold(tx, "d-1") == DELIVERIES.find(tx, "d-1") == done
            assert DELIVERIES.waiting(tx, "s-1", DATASET, EventType.DATASET_REF_UPDATED) is None

    def test_whoever_comes_second_changes_nothing(self, database: Database) -> None:
        delivery = a_delivery()
        begun = replace(delivery, state=DeliveryState.SENDING, attempt=1)

        with database.transaction() as tx:
            DELIVERIES.add(tx, delivery)

            assert DELIVERIES.save(tx, begun, was=delivery)
            assert not DELIVERIES.save(tx, begun, was=delivery)
            assert not DELIVERIES.save(tx, replace(delivery, new_hash=a_hash()), was=delivery)
            assert DELIVERIES.find(tx, "d-1") == begun

    def test_one_delivery_waits_whoever_races(self, database: Database) -> None:
        with database.transaction() as tx:
            DELIVERIES.add(tx, a_delivery())
            DELIVERIES.add(tx, a_delivery("d-2", dataset=a_dataset_id("other")))
            DELIVERIES.add(tx, a_delivery("d-3", subscription="s-2"))

        with pytest.raises(IntegrityError), database.transaction() as tx:
            DELIVERIES.add(tx, a_delivery("d-4"))

    def test_what_is_open_and_has_no_flow_is_forsaken(self, database: Database) -> None:
        with database.transaction() as tx:
            DELIVERIES.add(tx, replace(a_delivery("done"), state=DeliveryState.DELIVERED, finished_at=START))
            DELIVERIES.add(tx, replace(a_delivery("first"), state=DeliveryState.RETRYING))
            DELIVERIES.add(tx, a_delivery("second"))
            DELIVERIES.add(tx, a_delivery("other", subscription="s-2"))
            flow = replace(a_flow(), type=FlowType.WEBHOOK_DELIVER, scope=WebhookScope("s-2", DATASET))
            assert FlowStore().add(tx, flow)

            assert [each.id for each in DELIVERIES.open_of(tx, "s-1")] == ["first", "second"]
            assert DELIVERIES.forsaken(tx) == ["s-1"]

    def test_failures_are_those_of_its_flows(self, database: Database) -> None:
        with database.transaction() as tx:
            SUBSCRIPTIONS.add(tx, a_subscription())
            ProcessStore().save(tx, a_subscription().binding, Record(consecutive_failures=3))

            found = SUBSCRIPTIONS.find(tx, "s-1")

        assert found == replace(a_subscription(), consecutive_failures=3)

    def test_lists_are_pages_with_the_newest_first(self, database: Database) -> None:
        with database.transaction() as tx:
            for number in range(5):
                done = replace(a_delivery(f"d-{number}"), state=DeliveryState.DELIVERED, finished_at=START)
                DELIVERIES.add(tx, done)

            assert [each.id for each in DELIVERIES.list(tx, "s-1", limit=2, offset=1)] == ["d-3", "d-2"]

    def test_what_is_over_since_long_is_pruned(self, database: Database) -> None:
        with database.transaction() as tx:
            for id_, at in (("old", 0), ("new", 10)):
                done = replace(a_delivery(id_), state=DeliveryState.DELIVERED, finished_at=later(at))
                DELIVERIES.add(tx, done)
            DELIVERIES.add(tx, a_delivery("open"))

            assert DELIVERIES.prune(tx, later(10)) == 1

            assert [each.id for each in DELIVERIES.list(tx, "s-1", limit=9)] == ["open", "new"]
