"""Deliveries to webhooks as Dagster runs, beside those that work on datasets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dagster import DagsterEventType, DagsterRun, DagsterRunStatus

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.history.listing import FlowFilter, FlowLists
from kamu_assets.flows.model import Flow, FlowState, FlowType, OutcomeKind
from kamu_assets.odf.timestamp import NANOS_PER_SECOND
from kamu_assets.orchestration.names import TAG_DATASET, TAG_FLOW, TAG_FLOW_TYPE, TAG_WEBHOOK
from kamu_assets.webhooks.model import DeliveryState, SubscriptionInput
from tests.support.dagster_adapter import Adapter
from tests.support.heart import ADMIN
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def subscribed(adapter: Adapter, receiver: Receiver) -> tuple[DatasetEntry, str]:
    """A root, and the webhook that is told of it."""
    root = adapter.pushed_root()
    dispatch(adapter)
    made = adapter.parts.webhooks.service.create(ADMIN, root.id, SubscriptionInput(receiver.url))
    return root, made.subscription.id


def dispatch(adapter: Adapter) -> None:
    while adapter.parts.webhooks.dispatcher.step():
        pass


def told(adapter: Adapter, webhook: str) -> tuple[Flow, DagsterRun]:
    """The newest flow that tells it, and the run of its attempt."""
    [flow, *_] = FlowLists(adapter.parts.database).page(ADMIN, FlowFilter(subscriptions=[webhook])).flows
    run = adapter.instance.get_run_by_id(str(flow.run_id))
    assert run is not None
    return flow, run


def test_a_delivery_is_a_run_with_tags(adapter: Adapter, receiver: Receiver) -> None:
    root, webhook = subscribed(adapter, receiver)
    head = adapter.parts.push(root.id)
    dispatch(adapter)
    adapter.settle()

    flow, run = told(adapter, webhook)
    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.dataset_id) == (OutcomeKind.SUCCESS, root.id)
    assert (run.status, run.job_name) == (DagsterRunStatus.SUCCESS, "webhook_deliver")
    assert (run.tags[TAG_FLOW], run.tags[TAG_FLOW_TYPE], run.tags[TAG_WEBHOOK]) == (
        str(flow.id),
        FlowType.WEBHOOK_DELIVER,
        webhook,
    )
    # It is none of the runs of which a dataset has one at a time.
    assert TAG_DATASET not in run.tags
    [request] = receiver.received
    assert request.json["new_hash"] == str(head)
    # What is the same in all of them is not stored.
    kinds = [each.dagster_event_type for each in adapter.instance.all_logs(run.run_id)]
    assert DagsterEventType.STEP_SUCCESS in kinds
    assert not {DagsterEventType.LOGS_CAPTURED, DagsterEventType.STEP_OUTPUT}.intersection(kinds)
    [delivery] = adapter.parts.webhooks.service.deliveries(ADMIN, webhook)
    assert (delivery.state, delivery.flow) == (DeliveryState.DELIVERED, flow.id)


def test_a_failed_run_says_why_and_its_flow_leaves_the_receiver_alone(adapter: Adapter, receiver: Receiver) -> None:
    root, webhook = subscribed(adapter, receiver)
    receiver.usual = Answer(status=429, headers={"retry-after": "1000"})
    adapter.parts.push(root.id)
    dispatch(adapter)
    adapter.settle()

    flow, run = told(adapter, webhook)
    assert (run.status, flow.state) == (DagsterRunStatus.FAILURE, FlowState.RETRYING)
    [attempt] = adapter.parts.flows.attempts(ADMIN, flow.id)
    assert attempt.outcome is not None
    assert attempt.outcome.message == "The target answered 429"
    assert flow.scheduled_at is not None
    assert flow.attempt_ended_at is not None
    assert flow.scheduled_at.ns - flow.attempt_ended_at.ns >= 1000 * NANOS_PER_SECOND
    # Whoever died before telling the flow is told the same.
    status = adapter.orchestrator.status(run.run_id)
    assert (status.message, status.recoverable, status.retry_after) == ("The target answered 429", True, 1000)


def test_receivers_that_take_their_time_hold_up_nobody_and_can_be_called_back(
    adapter: Adapter, receiver: Receiver
) -> None:
    receiver.usual = Answer(silence_seconds=600)
    hooks = [subscribed(adapter, receiver) for _ in range(4)]
    for root, _ in hooks:
        adapter.parts.push(root.id)
    dispatch(adapter)
    adapter.scheduler.step()
    telling, identity = adapter.worker._telling, adapter.worker._identity
    begun = telling.claim(identity)
    wait_until(lambda: len(receiver.received) == 4)

    polled = adapter.polled_root()
    adapter.parts.flows.request_run(ADMIN, polled.id)
    adapter.scheduler.step()
    adapter.worker._drain()

    assert begun == 4
    updated = adapter.parts.flow_of(polled.id)
    assert updated is not None
    assert updated.outcome is not None
    assert updated.outcome.kind is OutcomeKind.SUCCESS
    for _, webhook in hooks:
        adapter.parts.flows.cancel(ADMIN, told(adapter, webhook)[0].id)
    adapter.scheduler.step()
    adapter.worker._cancel_current()
    # They would have been waited for much longer.
    assert telling.wait_until_idle(8)
    for _, webhook in hooks:
        flow, run = told(adapter, webhook)
        assert run.status is DagsterRunStatus.CANCELED
        assert flow.outcome is not None
        assert flow.outcome.kind is OutcomeKind.ABORTED
        states = [each.state for each in adapter.parts.webhooks.service.deliveries(ADMIN, webhook)]
        assert states == [DeliveryState.ABORTED]


def test_a_run_by_hand_becomes_a_flow_of_the_webhook(adapter: Adapter, receiver: Receiver) -> None:
    _, webhook = subscribed(adapter, receiver)
    started = adapter.job_run("webhook_deliver", {"ops": {"deliver": {"config": {"webhook": webhook}}}})
    adapter.work()

    flow, run = told(adapter, webhook)
    assert (run.run_id, run.status) == (started.run_id, DagsterRunStatus.SUCCESS)
    assert flow.outcome is not None
    assert (flow.cause.kind, flow.outcome.kind) == (CauseKind.DAGSTER_UI, OutcomeKind.UP_TO_DATE)
