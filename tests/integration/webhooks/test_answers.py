"""Which answers are retried, and which end it (trial WH-08)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.flows.model import FlowState
from kamu_assets.webhooks.model import DeliveryRules, DeliveryState, SubscriptionStatus
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhooks import Hooks, open_hooks, reason, subscribed


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Hooks]:
    """A second for each attempt."""
    hooks = open_hooks(tmp_path, rules=DeliveryRules(timeout_seconds=1))
    yield hooks
    hooks.heart.database.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_all_of_2xx_is_success(hooks: Hooks, receiver: Receiver, status: int) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(status=status)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    [delivery] = hooks.deliveries(made)
    assert (delivery.state, delivery.response_status) == (DeliveryState.DELIVERED, status)
    assert hooks.subscription(made).told_head == delivery.new_hash


@pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504])
def test_all_else_is_tried_again_later(hooks: Hooks, receiver: Receiver, status: int) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=status)]
    hooks.heart.add_data(dataset)

    assert hooks.deliver() == [status]
    assert hooks.states(made) == [DeliveryState.RETRYING]
    assert hooks.deliver() == []
    hooks.heart.clock.advance(10)
    assert hooks.deliver() == [200]


def test_410_ends_the_subscription_at_once(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(status=410)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    assert hooks.states(made) == [DeliveryState.FAILED]
    assert hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE


@pytest.mark.parametrize(
    ("said", "kept"), [("120", 120), ("5", 10), ("999999999", 3_600), ("-1", 10), ("soon", 10), ("nan", 10)]
)
def test_retry_after_is_kept(hooks: Hooks, receiver: Receiver, said: str, kept: int) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=429, headers={"retry-after": said})]
    hooks.heart.add_data(dataset)
    hooks.deliver()

    hooks.heart.clock.advance(kept - 1)
    assert hooks.deliver() == []
    hooks.heart.clock.advance(1)
    assert hooks.deliver() == [200]


def test_pauses_double(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(status=500)
    hooks.heart.add_data(dataset)

    pauses = []
    for _ in range(3):
        hooks.deliver()
        [flow] = hooks.flows_of(made)
        assert flow.status is FlowState.RETRYING
        assert flow.scheduled_at is not None
        assert flow.scheduled_at == hooks.parts.service.next_attempt(ADMIN, made.subscription.id)
        pauses.append((flow.scheduled_at.ns - hooks.heart.clock.now().ns) / 10**9)
        hooks.heart.clock.advance(pauses[-1])
    hooks.deliver()

    assert pauses == [10, 20, 40]
    assert hooks.states(made) == [DeliveryState.FAILED]


def test_a_body_without_end_is_not_read(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    receiver.usual = Answer(is_endless=True)
    hooks.heart.add_data(dataset)

    assert hooks.deliver() == [200]


@pytest.mark.parametrize("answer", [Answer(silence_seconds=60), Answer(drip_seconds=0.05)])
def test_slow_answers_end_in_time(impatient: Hooks, receiver: Receiver, answer: Answer) -> None:
    dataset, made = subscribed(impatient, receiver.url)
    receiver.usual = answer
    impatient.heart.add_data(dataset)

    impatient.deliver()

    assert reason(impatient, made) == "No answer within 1 seconds"
    assert impatient.states(made) == [DeliveryState.RETRYING]


def test_headers_without_end_are_refused(impatient: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(impatient, receiver.url)
    receiver.usual = Answer(headers={f"x-{number}": "y" * 10_000 for number in range(100)})
    impatient.heart.add_data(dataset)

    impatient.deliver()

    assert impatient.states(made) == [DeliveryState.RETRYING]
    assert impatient.deliveries(made)[0].response_status is None


def test_a_closed_port_says_no_more_than_a_name_without_address(hooks: Hooks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}/"
    dataset, made = subscribed(hooks, closed)
    unknown = hooks.subscribe("http://nobody.invalid/", dataset)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    assert reason(hooks, made) == reason(hooks, unknown) == "Failed to connect"


def test_what_hangs_up_is_tried_again(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(hangs_up=True)]
    hooks.heart.add_data(dataset)

    hooks.deliver()

    assert reason(hooks, made) == "The connection broke before there was an answer"
    assert hooks.states(made) == [DeliveryState.RETRYING]
