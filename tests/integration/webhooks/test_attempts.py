"""What whoever runs attempts can rely on."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from kamu_assets.flows.model import FlowState, OutcomeKind
from kamu_assets.flows.results import ReceiverTold
from kamu_assets.webhooks.errors import DeliveryFailedError, RecalledError, ReceiverGoneError
from kamu_assets.webhooks.model import DeliveryState
from kamu_assets.webhooks.recall import Recall
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhooks import Hooks, subscribed


def test_failures_say_whether_another_attempt_helps(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500), Answer(status=410)]
    hooks.heart.add_data(dataset)
    hooks.dispatch()

    with pytest.raises(DeliveryFailedError, match=r"^The target answered 500$") as first:
        hooks.parts.deliverer.deliver(made.subscription.id, run_id="1")
    with pytest.raises(ReceiverGoneError, match=r"^The target answered 410$"):
        hooks.parts.deliverer.deliver(made.subscription.id, run_id="2")

    assert not isinstance(first.value, ReceiverGoneError)


def test_what_is_done_is_not_done_again(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()

    sent = [hooks.parts.deliverer.deliver(id_, run_id="1") for id_ in (*2 * [made.subscription.id], "nope")]

    assert sent == [1, 0, 0]
    assert len(receiver.received) == 1


def test_a_deleted_dataset_is_told_of_no_more(hooks: Hooks, receiver: Receiver) -> None:
    dataset, _ = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    hooks.heart.datasets.delete(ADMIN, dataset)

    assert hooks.deliver() == []

    assert receiver.received == []


def test_a_flow_tells_what_it_sent_and_sends_in_order(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500)]
    for _ in range(3):
        hooks.heart.add_data(dataset)
        hooks.deliver()
    hooks.heart.clock.advance(10)

    # Once more what failed, and behind it what came meanwhile, folded.
    assert hooks.deliver() == [200, 200]

    [flow] = hooks.flows_of(made)
    assert (flow.state, flow.attempt) == (FlowState.FINISHED, 2)
    results = [each.result for each in hooks.flows.attempts(ADMIN, flow.id)]
    assert (flow.result, results) == (ReceiverTold(2, 200), [ReceiverTold(0, 500), ReceiverTold(2, 200)])
    assert [(each.flow, each.attempt) for each in hooks.deliveries(made)] == [(flow.id, 2), (flow.id, 1)]
    _, *told = [request.json for request in receiver.received]
    assert all(earlier["new_hash"] == later["old_hash"] for earlier, later in pairwise(told))


def test_what_comes_while_a_receiver_is_told_is_told_by_a_flow_that_follows(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    hooks.scheduler.step()
    newest = hooks.heart.add_data(dataset)
    hooks.dispatch()
    hooks.dispatch()

    [due] = hooks.attempts.waiting
    hooks.attempts.waiting = []
    assert hooks.attempt(due) == [200]
    hooks.deliver()

    assert [flow.state for flow in hooks.flows_of(made)] == [FlowState.FINISHED] * 2
    assert receiver.received[-1].json["new_hash"] == str(newest)
    assert hooks.states(made) == [DeliveryState.DELIVERED] * len(receiver.received)


def test_what_waits_behind_a_failure_gets_a_flow_of_its_own(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500)] * 4
    hooks.heart.add_data(dataset)
    hooks.deliver()
    newest = hooks.heart.add_data(dataset)
    hooks.fail(5)

    first, second = hooks.flows_of(made)
    assert first.outcome is not None
    assert (first.outcome.kind, first.outcome.message) == (OutcomeKind.FAILED, "The target answered 500")
    assert (second.outcome and second.outcome.kind, second.attempt) == (OutcomeKind.SUCCESS, 1)
    assert hooks.states(made) == [DeliveryState.FAILED, DeliveryState.DELIVERED]
    assert receiver.received[-1].json["new_hash"] == str(newest)


def test_what_is_being_sent_can_be_called_back(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(silence_seconds=600)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    recall, ends = Recall(), []

    def deliver() -> None:
        with pytest.raises(RecalledError):
            hooks.parts.deliverer.deliver(made.subscription.id, run_id="1", recall=recall)
        ends.append(True)

    thread = threading.Thread(target=deliver)
    thread.start()
    wait_until(lambda: receiver.received)
    recall.ask()
    thread.join(5)

    assert ends == [True]
    assert hooks.states(made) == [DeliveryState.SENDING]


def test_a_canceled_flow_drops_what_it_was_to_send(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    hooks.heart.add_data(dataset)
    hooks.dispatch()
    [flow] = hooks.flows_of(made)

    hooks.flows.cancel(ADMIN, flow.id)

    assert hooks.states(made) == [DeliveryState.ABORTED]
    assert hooks.deliver() == []
    newest = hooks.heart.add_data(dataset)
    assert hooks.deliver() == [200]
    assert receiver.received[-1].json["new_hash"] == str(newest)
