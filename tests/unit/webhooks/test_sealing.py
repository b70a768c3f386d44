"""Secrets of receivers are not in the database for whoever reads it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from kamu_assets.database.transaction import Transaction
from kamu_assets.errors import UnavailableError
from kamu_assets.flows.model import FlowState
from kamu_assets.webhooks.errors import UnreadableSecretError
from kamu_assets.webhooks.model import DeliveryState, Subscription, SubscriptionStatus
from kamu_assets.webhooks.sealing import Seal, is_closed
from tests.support.builders import START
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, webhook_receiver
from tests.support.webhook_signatures import verify_standard
from tests.support.webhooks import Hooks, subscribed

SEAL = Seal(lambda: bytes(32))
SECRET = SecretStr("s3cr3t")
URL = "https://127.0.0.1:1/kamu"


def a_subscription(id_: str = "s") -> Subscription:
    closed = SEAL.closed(SECRET, id_)
    return Subscription(id_, None, URL, (), "", SubscriptionStatus.ENABLED, closed, START)


def stored(hooks: Hooks) -> str:
    with hooks.heart.database.reading() as tx:
        return str(tx.execute(text("SELECT secret FROM webhook_subscriptions")).scalar_one())


def store(hooks: Hooks, secret: SecretStr) -> None:
    with hooks.heart.database.transaction() as tx:
        tx.execute(text("UPDATE webhook_subscriptions SET secret = :it"), {"it": secret.get_secret_value()})


def test_a_closed_secret_is_opened_and_looks_different_each_time() -> None:
    closed = a_subscription().secret.get_secret_value()

    assert SEAL.opened(a_subscription()) == SECRET
    assert "s3cr3t" not in closed
    assert closed != a_subscription().secret.get_secret_value()


@pytest.mark.parametrize(
    "other",
    [
        replace(a_subscription(), id="another"),
        replace(a_subscription(), secret=Seal(lambda: bytes(31) + b"x").closed(SECRET, "s")),
        replace(a_subscription(), secret=SecretStr("aes256gcm:")),
        replace(a_subscription(), secret=SecretStr("aes256gcm:nonsense")),
    ],
    ids=["another row", "another key", "empty", "nonsense"],
)
def test_what_cannot_be_opened_is_refused(other: Subscription) -> None:
    with pytest.raises(UnreadableSecretError, match="webhook rotate-secret"):
        SEAL.opened(other)


def test_no_secret_is_stored_as_it_is(hooks: Hooks) -> None:
    made = hooks.subscribe(URL)
    first = stored(hooks)
    rotated = hooks.parts.service.rotate_secret(ADMIN, made.subscription.id)

    for row, secret in ((first, made.secret), (stored(hooks), rotated.secret)):
        assert is_closed(SecretStr(row))
        assert secret.get_secret_value() not in row
    assert [*hooks.parts.service.secrets()] == [rotated.secret.get_secret_value()]


def test_those_of_an_older_node_go_on_and_are_encrypted(hooks: Hooks) -> None:
    with webhook_receiver() as receiver:
        made = hooks.subscribe(receiver.url)
        store(hooks, SECRET)

        hooks.parts.service.test(ADMIN, made.subscription.id)
        hooks.parts.service.seal_secrets(hooks.heart.database)
        sealed = stored(hooks)
        hooks.parts.service.seal_secrets(hooks.heart.database)
        hooks.parts.service.test(ADMIN, made.subscription.id)

    assert is_closed(SecretStr(sealed))
    assert stored(hooks) == sealed
    assert all(verify_standard(request, "s3cr3t") for request in receiver.received)
    assert len(receiver.received) == 2


def test_nothing_is_sent_that_cannot_be_signed(hooks: Hooks) -> None:
    with webhook_receiver() as receiver:
        made = hooks.subscribe(receiver.url)
        store(hooks, Seal(lambda: bytes(31) + b"x").closed(SECRET, made.subscription.id))

        done = hooks.parts.service.test(ADMIN, made.subscription.id)

    assert (done.state, receiver.received) == (DeliveryState.FAILED, [])
    assert "`kamu-node webhook rotate-secret` makes a new secret" in str(done.message)
    assert [*hooks.parts.service.secrets()] == []


def test_a_key_that_is_not_there_is_no_fault_of_the_receiver(hooks: Hooks) -> None:
    with webhook_receiver() as receiver:
        dataset, made = subscribed(hooks, receiver.url)
        good = stored(hooks)
        store(hooks, Seal(lambda: bytes(31) + b"x").closed(SECRET, made.subscription.id))
        hooks.heart.add_data(dataset)

        hooks.fail(7)
        [flow] = hooks.flows_of(made)
        seen = hooks.subscription(made)
        store(hooks, SecretStr(good))
        receiver.turns = [Answer(status=500)] * 3
        hooks.fail(4)

    assert (flow.state, flow.attempt) == (FlowState.RETRYING, 7)
    assert "restore keys/node.key" in str(flow.waits_for)
    assert (seen.status, seen.consecutive_failures) == (SubscriptionStatus.ENABLED, 0)
    # The receiver has all the attempts that it would have had.
    assert hooks.states(made) == [DeliveryState.DELIVERED]


def test_nothing_is_left_of_those_that_were_stored_as_they_are(hooks: Hooks) -> None:
    file = hooks.heart.database.file
    assert file is not None
    for number in range(6):
        hooks.subscribe(URL, label=str(number))
    with closing(sqlite3.connect(file, isolation_level=None)) as older:
        older.execute("PRAGMA secure_delete = OFF")
        older.execute("UPDATE webhook_subscriptions SET secret = 's3cr3t' || label")
        older.execute("DELETE FROM webhook_subscriptions WHERE label > '1'")
    before = hooks.parts.service.list(ADMIN)

    hooks.parts.service.seal_secrets(hooks.heart.database)

    assert all(b"s3cr3t" not in each.read_bytes() for each in file.parent.glob(f"{file.name}*"))
    assert [*hooks.parts.service.secrets()] == ["s3cr3t0", "s3cr3t1"]
    assert [replace(each, secret=SECRET) for each in hooks.parts.service.list(ADMIN)] == [
        replace(each, secret=SECRET) for each in before
    ]


def test_who_has_lost_the_term_seals_nothing(hooks: Hooks) -> None:
    def deposed(_tx: Transaction) -> None:
        raise UnavailableError("no longer")

    hooks.subscribe(URL)
    store(hooks, SECRET)

    with pytest.raises(UnavailableError):
        hooks.parts.service.seal_secrets(hooks.heart.database.fenced(deposed))

    assert stored(hooks) == "s3cr3t"
