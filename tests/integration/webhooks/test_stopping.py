"""What fails too often is stopped, and told of what it missed when it is back."""

from __future__ import annotations

from kamu_assets.flows.processes.listing import ProcessState
from kamu_assets.flows.triggers.rules import StopReason
from kamu_assets.monitoring.metric import LEDGER
from kamu_assets.webhooks.model import DeliveryState, SubscriptionStatus
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhooks import Hooks, subscribed


def test_after_so_many_failures_in_a_row_it_is_unreachable(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.usual = Answer(status=500)

    for number in range(5):
        assert hooks.subscription(made).consecutive_failures == number
        assert hooks.subscription(made).status is SubscriptionStatus.ENABLED
        hooks.heart.add_data(dataset)
        hooks.fail(4)
    hooks.heart.add_data(dataset)
    hooks.fail(4)

    assert hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE
    assert hooks.states(made) == [DeliveryState.FAILED] * 5
    assert len(receiver.received) == 20
    [process] = hooks.parts.processes.list(ADMIN)
    assert (process.state, process.stop_reason) == (ProcessState.STOPPED_AUTO, StopReason.STOP_POLICY)
    assert (process.consecutive_failures, process.stop_after) == (5, 5)


def test_attempts_and_ends_are_counted(hooks: Hooks, receiver: Receiver) -> None:
    def values() -> list[float]:
        ledger, name = LEDGER.open(), "kamu_node_webhook_attempts_total"
        outcomes = [ledger.get_sample_value(name, {"outcome": each}) for each in ("delivered", "failed")]
        return [each or 0 for each in (*outcomes, ledger.get_sample_value("kamu_node_webhooks_stopped_total"))]

    dataset, _ = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(), Answer(status=500), Answer(status=410)]
    before = values()
    for _ in receiver.turns.copy():
        hooks.heart.add_data(dataset)
        hooks.fail(1)

    assert [after - was for after, was in zip(values(), before, strict=True)] == [1, 2, 1]


def test_a_success_starts_the_count_anew(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    for _ in range(3):
        receiver.turns = [Answer(status=500)] * 4 * 4
        for _ in range(4):
            hooks.heart.add_data(dataset)
            hooks.fail(4)
        hooks.heart.add_data(dataset)
        hooks.deliver()

    assert hooks.subscription(made).status is SubscriptionStatus.ENABLED
    assert hooks.subscription(made).consecutive_failures == 0


def test_reactivated_it_is_told_what_it_missed(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    known = hooks.subscription(made).told_head
    receiver.turns = [Answer(status=410)]
    hooks.heart.add_data(dataset)
    hooks.deliver()
    newest = hooks.heart.add_data(dataset)
    hooks.dispatch()

    [process] = hooks.parts.processes.list(ADMIN, states=[ProcessState.STOPPED_AUTO])
    assert (process.consecutive_failures, process.stop_reason) == (1, StopReason.UNRECOVERABLE_FAILURE)
    assert hooks.parts.service.reactivate(ADMIN, made.subscription.id).status is SubscriptionStatus.ENABLED
    [process] = hooks.parts.processes.list(ADMIN)
    assert (process.state, process.consecutive_failures) == (ProcessState.ACTIVE, 0)
    assert hooks.deliver() == [200]

    told = receiver.received[-1].json
    assert (told["old_hash"], told["new_hash"]) == (str(known), str(newest))
    assert hooks.deliver() == []


def test_one_of_all_datasets_is_told_of_each_that_changed_meanwhile(hooks: Hooks, receiver: Receiver) -> None:
    quiet, told, failed, silent = (hooks.heart.dataset(name).id for name in ("quiet", "told", "failed", "silent"))
    before = {each: hooks.heart.add_data(each) for each in (quiet, told, failed, silent)}
    hooks.heart.clock.advance(3_600)
    made = hooks.subscribe(receiver.url)
    known = hooks.heart.add_data(told)
    hooks.deliver()
    hooks.heart.clock.advance(3_600)
    receiver.turns = [Answer(status=410)]
    hooks.heart.add_data(failed)
    hooks.deliver()
    assert hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE
    now = {each: hooks.heart.add_data(each) for each in (told, failed, silent)}
    new = hooks.heart.dataset("new").id
    receiver.received.clear()

    hooks.parts.service.reactivate(ADMIN, made.subscription.id)
    hooks.deliver()

    heard = {each.json["dataset_id"]: (each.json.get("old_hash"), each.json["new_hash"]) for each in receiver.received}
    assert heard.pop(str(new))[0] is None
    assert heard == {
        str(told): (str(known), str(now[told])),
        str(failed): (str(before[failed]), str(now[failed])),
        str(silent): (str(before[silent]), str(now[silent])),
    }


def test_what_waited_is_dropped_when_it_stops(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500), Answer(status=410)]
    hooks.heart.add_data(dataset)
    hooks.deliver()
    hooks.heart.add_data(dataset)
    hooks.heart.clock.advance(10)
    hooks.deliver()

    assert hooks.states(made) == [DeliveryState.FAILED, DeliveryState.ABORTED]


def test_paused_while_it_is_told_it_is_not_tried_again(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500)]
    hooks.heart.add_data(dataset)
    hooks.deliver()

    hooks.parts.service.pause(ADMIN, made.subscription.id)
    hooks.heart.clock.advance(3_600)

    assert hooks.deliver() == []
    assert hooks.states(made) == [DeliveryState.ABORTED]
