"""Updates become deliveries: folded while they wait, each once, none lost."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.messages import DatasetRewritten
from kamu_assets.datasets.model import RewriteKind
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowState, FlowType, WaitKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.webhooks.dispatcher import CONSUMER
from kamu_assets.webhooks.model import DeliveryState, SubscriptionStatus
from kamu_assets.webhooks.post import Post
from tests.support.builders import a_hash
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Receiver
from tests.support.webhooks import Hooks

URL = "https://127.0.0.1:1/kamu"


@pytest.fixture
def dataset(hooks: Hooks) -> DatasetID:
    return hooks.heart.dataset().id


def test_an_update_makes_a_delivery(hooks: Hooks, dataset: DatasetID) -> None:
    old = hooks.heart.chains.state(dataset).head
    made = hooks.subscribe(URL, dataset)
    new = hooks.heart.add_data(dataset)

    hooks.dispatch()

    [delivery] = hooks.deliveries(made)
    assert (delivery.dataset_id, delivery.old_hash, delivery.new_hash) == (dataset, old, new)
    assert delivery.state is DeliveryState.WAITING
    assert not delivery.is_breaking
    [flow] = hooks.flows_of(made)
    [cause] = flow.causes
    assert (flow.type, flow.dataset_id, flow.status) == (FlowType.WEBHOOK_DELIVER, dataset, FlowState.WAITING)
    assert (cause.kind, cause.input, cause.head, cause.records) == (CauseKind.INPUT_UPDATED, dataset, new, 10)
    assert (flow.condition.kind, flow.condition.records) == (WaitKind.REACTIVE, 10) if flow.condition else False


def test_updates_of_other_datasets_make_none(hooks: Hooks, dataset: DatasetID) -> None:
    made = hooks.subscribe(URL, dataset)
    hooks.heart.add_data(hooks.heart.dataset("other").id)

    hooks.dispatch()

    assert hooks.deliveries(made) == []


def test_updates_are_folded_while_the_delivery_waits(hooks: Hooks, dataset: DatasetID) -> None:
    old = hooks.heart.chains.state(dataset).head
    made = hooks.subscribe(URL, dataset)

    for _ in range(3):
        newest = hooks.heart.add_data(dataset)
        hooks.dispatch()

    [delivery] = hooks.deliveries(made)
    assert (delivery.old_hash, delivery.new_hash) == (old, newest)
    [flow] = hooks.flows_of(made)
    assert [cause.records for cause in flow.causes] == [30]


def test_nothing_is_folded_into_what_was_sent(hooks: Hooks, dataset: DatasetID, receiver: Receiver) -> None:
    receiver.usual.status = 500
    made = hooks.subscribe(receiver.url, dataset)
    first = hooks.heart.add_data(dataset)
    hooks.deliver()
    hooks.heart.add_data(dataset)
    newest = hooks.heart.add_data(dataset)

    hooks.dispatch()

    assert [(each.state, each.old_hash, each.new_hash) for each in hooks.deliveries(made)] == [
        (DeliveryState.RETRYING, hooks.deliveries(made)[0].old_hash, first),
        (DeliveryState.WAITING, first, newest),
    ]


def test_a_subscription_to_all_datasets_is_told_of_each(hooks: Hooks) -> None:
    made = hooks.subscribe(URL)
    first, second = hooks.heart.dataset("first").id, hooks.heart.dataset("second").id
    head = hooks.heart.add_data(second)

    hooks.dispatch()

    told = {each.dataset_id: each for each in hooks.deliveries(made)}
    assert told.keys() == {first, second}
    assert told[first].old_hash is None
    assert (told[second].old_hash, told[second].new_hash) == (None, head)


def test_one_rewriting_makes_a_folded_delivery_breaking(hooks: Hooks, dataset: DatasetID) -> None:
    made = hooks.subscribe(URL, dataset)
    head = hooks.heart.add_data(dataset)
    with hooks.heart.database.transaction() as tx:
        hooks.outbox.post(tx, rewritten(hooks, dataset, head))
    hooks.heart.add_data(dataset)

    hooks.dispatch()

    [delivery] = hooks.deliveries(made)
    assert delivery.is_breaking


def test_paused_and_unreachable_ones_are_told_nothing(hooks: Hooks, dataset: DatasetID) -> None:
    made = hooks.subscribe(URL, dataset)
    hooks.parts.service.pause(ADMIN, made.subscription.id)
    hooks.heart.add_data(dataset)

    hooks.dispatch()

    assert hooks.subscription(made).status is SubscriptionStatus.PAUSED
    assert hooks.deliveries(made) == []


def test_all_of_a_deleted_dataset_goes(hooks: Hooks, dataset: DatasetID) -> None:
    hooks.subscribe(URL, dataset)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    everything = hooks.subscribe(URL)

    hooks.heart.datasets.delete(ADMIN, dataset)
    listed = hooks.parts.service.list(ADMIN)
    hooks.dispatch()

    assert [each.id for each in listed] == [everything.subscription.id]
    with hooks.heart.database.reading() as tx:
        for table in ("webhook_subscriptions", "webhook_deliveries"):
            assert count(tx, f"{table} WHERE dataset_id IS NOT NULL") == 0


def test_a_message_is_dispatched_once_by_however_many(hooks: Hooks, dataset: DatasetID) -> None:
    made = hooks.subscribe(URL, dataset)
    hooks.heart.add_data(dataset)
    read = hooks.outbox.read

    def another_comes_first(*arguments: object) -> object:
        found = read(*arguments)  # type: ignore[arg-type] # passed on
        hooks.outbox.read = read  # type: ignore[method-assign] # as it was
        hooks.parts.dispatcher.step()
        return found

    hooks.outbox.read = another_comes_first  # type: ignore[method-assign, assignment] # another process in between
    hooks.parts.dispatcher.step()

    assert len(hooks.deliveries(made)) == 1


def test_what_fails_is_done_again_whole(hooks: Hooks, dataset: DatasetID, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [hooks.subscribe(URL, dataset) for _ in range(2)]
    hooks.heart.add_data(dataset)
    real, told = Post.tell, []

    def fails_at_the_second(self: Post, *arguments: object, **named: object) -> None:
        told.append(arguments)
        if len(told) == 2:
            raise RuntimeError("power cut")
        real(self, *arguments, **named)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(Post, "tell", fails_at_the_second)
    assert not hooks.parts.dispatcher.step()
    nothing = [hooks.deliveries(each) for each in made]
    hooks.heart.clock.advance(10)
    hooks.dispatch()

    assert nothing == [[], []]
    assert [len(hooks.deliveries(each)) for each in made] == [1, 1]
    with hooks.heart.database.reading() as tx:
        assert {each.name: each.last_error for each in hooks.outbox.consumers(tx)} == {CONSUMER: None}


def rewritten(hooks: Hooks, dataset: DatasetID, head: Multihash) -> DatasetRewritten:
    entry = hooks.heart.datasets.resolve(ADMIN, dataset)
    return DatasetRewritten(
        dataset_id=dataset,
        alias=entry.alias,
        kind=entry.kind,
        how=next(iter(RewriteKind)),
        old_head=head,
        new_head=a_hash("other"),
        old_blocks=3,
        blocks=1,
        records=0,
        inputs=(),
        watermark=None,
        system_time=hooks.heart.clock.now(),
        run_id=None,
    )


def count(tx: Transaction, what: str) -> int:
    return int(tx.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())
