"""What arrives at a receiver: body and headers."""

from __future__ import annotations

import uuid

import pytest

from tests.support.heart import KAMU
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhook_signatures import verify_kamu, verify_standard
from tests.support.webhooks import Hooks, subscribed


def test_the_body_is_that_of_the_contract(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, f"{receiver.url}/kamu")
    old = hooks.heart.chains.state(dataset).head
    hooks.heart.add_data(dataset)
    new = hooks.heart.add_data(dataset)

    hooks.deliver()

    [request] = receiver.received
    assert list(request.json.items()) == [
        ("version", 2),
        ("dataset_id", str(dataset)),
        ("owner_account_id", str(KAMU.id)),
        ("block_ref", "head"),
        ("new_hash", str(new)),
        ("old_hash", str(old)),
        ("is_breaking_change", False),
    ]


def test_a_new_dataset_has_no_old_hash(hooks: Hooks, receiver: Receiver) -> None:
    hooks.subscribe(receiver.url)
    hooks.heart.dataset()

    hooks.deliver()

    assert "old_hash" not in receiver.received[0].json


def test_the_headers_say_what_it_is(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    [request] = receiver.received
    assert request.method == "POST"
    assert request.headers["user-agent"] == "Kamu-Webhook/1.0"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-webhook-event-type"] == "DATASET.REF.UPDATED"
    assert request.headers["x-webhook-subscription-id"] == made.subscription.id
    assert request.headers["x-webhook-timestamp"] == str(hooks.heart.clock.now().ns // 10**9)
    assert uuid.UUID(request.headers["x-webhook-delivery-id"])
    assert request.headers["x-webhook-delivery-attempt"] == "1"


def test_a_repeated_delivery_has_the_same_id_and_body(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=503), Answer(hangs_up=True)]
    hooks.heart.add_data(dataset)

    hooks.deliver()
    hooks.heart.add_data(dataset)
    hooks.heart.clock.advance(3_600)
    hooks.deliver()
    hooks.heart.clock.advance(3_600)
    hooks.deliver()
    hooks.deliver()

    ids, attempts = zip(*(request.delivery for request in receiver.received), strict=True)
    assert attempts == (1, 2, 3, 1)
    assert len({*ids[:3]}) == 1
    assert ids[3] != ids[0]
    assert len({request.body for request in receiver.received[:3]}) == 1


@pytest.mark.parametrize("target", ["", "/", "/a/b%20c?x=1&y=2", "/a?b=%2F"])
def test_the_target_is_asked_for_as_it_was_written(hooks: Hooks, receiver: Receiver, target: str) -> None:
    dataset, made = subscribed(hooks, receiver.url + target)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    [request] = receiver.received
    assert request.target == (target or "/")
    assert verify_standard(request, made.secret.get_secret_value())
    assert verify_kamu(request, made.secret.get_secret_value())
