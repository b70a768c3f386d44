"""Deliveries on either database, with several processes that announce and send at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kamu_assets.webhooks.model import DeliveryRules, DeliveryState, SubscriptionStatus
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, webhook_receiver
from tests.support.webhooks import Hooks, open_hooks

RULES = DeliveryRules(timeout_seconds=30, max_attempts=2, retry_seconds=1, max_consecutive_failures=2)
NODES = 3
UPDATES = 20


@pytest.fixture
def all_hooks(migrated_url: str, tmp_path: Path) -> list[Hooks]:
    """As many nodes on one database."""
    return [open_hooks(tmp_path, url=migrated_url, rules=RULES) for _ in range(NODES)]


def test_dispatchers_beside_each_other_tell_everything_once(all_hooks: list[Hooks]) -> None:
    first, *_ = all_hooks
    dataset = first.heart.dataset().id
    start = str(first.heart.chains.state(dataset).head)
    stop = threading.Event()
    with webhook_receiver() as receiver:
        made = first.subscribe(receiver.url, dataset)
        # One leads and has runs made; all of them make deliveries of what is announced.
        threads = [threading.Thread(target=dispatch, args=(hooks, stop)) for hooks in all_hooks[1:]]
        threads.append(threading.Thread(target=carry, args=(first, stop)))
        for thread in threads:
            thread.start()
        try:
            for _ in range(UPDATES):
                head = str(first.heart.add_data(dataset, records=1))
            wait_until(lambda: receiver.received and receiver.received[-1].json["new_hash"] == head)
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    first.deliver()
    assert {attempt for _, attempt in (request.delivery for request in receiver.received)} == {1}
    ends = [start, *(request.json["new_hash"] for request in receiver.received)]
    assert [request.json["old_hash"] for request in receiver.received] == ends[:-1]
    assert set(first.states(made)) == {DeliveryState.DELIVERED}
    close(all_hooks)


def test_a_dead_receiver_is_stopped_and_comes_back(all_hooks: list[Hooks]) -> None:
    first, second, _ = all_hooks
    dataset = first.heart.dataset().id
    with webhook_receiver() as receiver:
        receiver.usual = Answer(status=500)
        made = first.subscribe(receiver.url, dataset, "ops")
        for _ in range(2):
            head = first.heart.add_data(dataset, records=1)
            first.fail(2)

        assert second.subscription(made).status is SubscriptionStatus.UNREACHABLE
        receiver.usual = Answer()
        second.parts.service.reactivate(ADMIN, made.subscription.id)
        assert first.deliver() == [200]
        assert receiver.received[-1].json["new_hash"] == str(head)

    assert second.subscription(made).told_head == head
    close(all_hooks)


def carry(hooks: Hooks, stop: threading.Event) -> None:
    while not stop.is_set():
        hooks.deliver()
        stop.wait(0.01)


def dispatch(hooks: Hooks, stop: threading.Event) -> None:
    while not stop.is_set():
        hooks.dispatch()
        stop.wait(0.01)


def close(all_hooks: list[Hooks]) -> None:
    for hooks in all_hooks:
        hooks.heart.database.close()
