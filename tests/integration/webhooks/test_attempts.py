"""What whoever runs attempts can rely on."""

from __future__ import annotations

import pytest

from kamu_assets.webhooks.errors import DeliveryFailedError, NotDueError
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhooks import Hooks, subscribed


def test_failures_say_whether_another_attempt_helps(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500), Answer(status=410)]
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    [delivery] = hooks.parts.deliverer.due()

    with pytest.raises(DeliveryFailedError, match=r"^The target answered 500$") as first:
        hooks.parts.deliverer.deliver(delivery.id)
    hooks.heart.clock.advance(10)
    with pytest.raises(DeliveryFailedError) as second:
        hooks.parts.deliverer.deliver(delivery.id)

    assert (first.value.recoverable, second.value.recoverable) == (True, False)


def test_a_delivery_is_tried_by_one_at_a_time_and_not_when_it_is_done(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    [delivery] = hooks.parts.deliverer.due()

    hooks.parts.deliverer.deliver(delivery.id)

    with pytest.raises(NotDueError):
        hooks.parts.deliverer.deliver(delivery.id)
    with pytest.raises(NotDueError):
        hooks.parts.deliverer.deliver("nope")
    assert len(receiver.received) == 1


def test_a_deleted_dataset_is_told_of_no_more(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    hooks.heart.datasets.delete(ADMIN, dataset)
    [delivery] = hooks.parts.deliverer.due()

    with pytest.raises(NotDueError):
        hooks.parts.deliverer.deliver(delivery.id)

    assert receiver.received == []
