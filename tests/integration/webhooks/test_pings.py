"""A test delivery, asked for by the owner."""

from __future__ import annotations

import pytest

from kamu_assets.webhooks.model import DeliveryState
from tests.support.heart import ADMIN, KAMU
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhook_signatures import verify_kamu
from tests.support.webhooks import Hooks, subscribed


@pytest.mark.parametrize("state", ["ENABLED", "PAUSED"])
def test_it_is_sent_at_once_and_signed(hooks: Hooks, receiver: Receiver, state: str) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    if state == "PAUSED":
        hooks.parts.service.pause(ADMIN, made.subscription.id)

    done = hooks.parts.service.test(ADMIN, made.subscription.id)

    [request] = receiver.received
    assert (done.state, done.response_status) == (DeliveryState.DELIVERED, 200)
    assert request.headers["x-webhook-event-type"] == "TEST"
    assert request.json == {"version": 2, "dataset_id": str(dataset), "owner_account_id": str(KAMU.id)}
    assert verify_kamu(request, made.secret.get_secret_value())


def test_failures_of_it_count_for_nothing(hooks: Hooks, receiver: Receiver) -> None:
    _, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(status=410)

    for _ in range(6):
        done = hooks.parts.service.test(ADMIN, made.subscription.id)

    assert (done.state, done.message) == (DeliveryState.FAILED, "The target answered 410")
    assert hooks.subscription(made) == made.subscription
