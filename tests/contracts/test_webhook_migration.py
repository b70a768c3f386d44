"""Webhooks of nodes that were made before flows told them."""

from __future__ import annotations

from sqlalchemy import text

from kamu_assets.database.migrations import state
from kamu_assets.database.transaction import Transaction
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.model import DeliveryState
from kamu_assets.webhooks.store import SubscriptionStore
from tests.contracts.conftest import opened
from tests.contracts.test_flow_migration import upgrade
from tests.support.builders import a_dataset_id

DATASET = a_dataset_id()


def before_flows() -> str:
    revisions = state.revisions()
    return revisions[[name.partition("_")[2] for name in revisions].index("webhook_flows") - 1]


def a_row(tx: Transaction, table: str, **values: object) -> None:
    names = ", ".join(values)
    tx.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"), values)


def test_what_is_still_to_be_sent_and_has_failed_is_kept(database_url: str) -> None:
    with opened(database_url) as database, database.transaction() as tx:
        upgrade(tx, before_flows())
        about = {"dataset_id": str(DATASET), "created_at": 1}
        told = {"target_url": "https://x", "event_types": "DATASET.REF.UPDATED", "label": "ops", "secret": "s"}
        a_row(tx, "webhook_subscriptions", id="w", status="ENABLED", consecutive_failures=2, **told, **about)
        sent = {"subscription_id": "w", "event_type": "DATASET.REF.UPDATED", "is_breaking": False, "due_at": 2}
        a_row(tx, "webhook_deliveries", id="a", state="RETRYING", attempt=3, **sent, **about)
        a_row(tx, "webhook_deliveries", id="b", state="WAITING", attempt=0, **sent, **about)
        a_row(tx, "webhook_deliveries", id="c", state="FAILED", attempt=4, finished_at=3, **sent, **about)
        upgrade(tx, "head")

        found = SubscriptionStore().find(tx, "w")
        waiting = DeliveryStore().open_of(tx, "w")
        forsaken = DeliveryStore().forsaken(tx)

    assert found is not None
    assert (found.consecutive_failures, found.label) == (2, "ops")
    assert [(each.id, each.state, each.attempt) for each in waiting] == [
        ("a", DeliveryState.RETRYING, 3),
        ("b", DeliveryState.WAITING, 0),
    ]
    assert forsaken == ["w"]
