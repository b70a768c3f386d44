"""Receivers beside each other (trial WH-06)."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from kamu_assets.datasets.messages import DatasetUpdated
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.model import DeliveryRules, SubscriptionStatus
from kamu_assets.webhooks.service import NewSecret
from tests.support.builders import a_hash
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver
from tests.support.webhooks import Hooks, open_hooks, subscribed


def test_a_dead_receiver_does_not_hold_up_others_and_is_stopped(tmp_path: Path) -> None:
    rules = DeliveryRules(timeout_seconds=0.5, max_attempts=2, retry_seconds=0.01, max_consecutive_failures=3)
    hooks = open_hooks(tmp_path, rules=rules)
    with ExitStack() as stack:
        dead, *healthy = (stack.enter_context(webhook_receiver()) for _ in range(4))
        dead.usual = Answer(silence_seconds=600)
        dataset, made = subscribed(hooks, dead.url)
        for each in healthy:
            hooks.subscribe(each.url, dataset)

        for batch in range(100):
            newest = _ten_updates(hooks, dataset, batch)
            hooks.heart.clock.advance(0.1)
            hooks.courier.step()
        told = wait_until(lambda: _told_all(hooks, healthy, newest))
        wait_until(lambda: _is_stopped(hooks, made))

        assert all(len(each.received) >= 1 for each in healthy), told
        assert len(dead.received) == 6
        assert hooks.courier.wait_until_idle(60)
    hooks.heart.database.close()


def test_one_receiver_gets_one_delivery_at_a_time_in_order(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    hooks.courier.step()
    heads = []
    for _ in range(10):
        heads.append(str(hooks.heart.add_data(dataset, records=1)))
        hooks.courier.step()

    wait_until(lambda: _told_all(hooks, [receiver], heads[-1]))

    told = [request.json["new_hash"] for request in receiver.received]
    assert told == sorted(told, key=heads.index)
    for earlier, later in pairwise(receiver.received):
        assert earlier.json["new_hash"] == later.json["old_hash"]


def _ten_updates(hooks: Hooks, dataset: DatasetID, batch: int) -> str:
    entry = hooks.heart.datasets.resolve(ADMIN, dataset)
    heads = [a_hash(f"{10 * batch + number}") for number in range(-1, 10)]
    with hooks.heart.database.transaction() as tx:
        for old, new in pairwise(heads):
            message = DatasetUpdated(
                dataset_id=dataset,
                alias=entry.alias,
                kind=entry.kind,
                old_head=old,
                new_head=new,
                blocks=1,
                new_records=1,
                event_kinds=("AddData",),
                watermark=None,
                system_time=hooks.heart.clock.now(),
                run_id=None,
            )
            hooks.outbox.post(tx, message)
    return str(heads[-1])


def _told_all(hooks: Hooks, receivers: list[Receiver], head: str | None) -> bool:
    hooks.courier.step()
    return all(each.received and each.received[-1].json["new_hash"] == head for each in receivers)


def _is_stopped(hooks: Hooks, made: NewSecret) -> bool:
    # A delivery that is being sent is given up by the clock that stands still here.
    hooks.heart.clock.advance(0.1)
    hooks.courier.step()
    return hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE
