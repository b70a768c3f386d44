"""Webhooks on the heart: a real database, real HTTP, a clock that tests move."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.messages import MESSAGES as DATASET_MESSAGES
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.flows.history.listing import FlowFilter, FlowLists
from kamu_assets.flows.messages import MESSAGES as FLOW_MESSAGES
from kamu_assets.flows.model import Flow, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.service import FlowService
from kamu_assets.governance.access import Access
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.deliverer import Deliverer
from kamu_assets.webhooks.errors import DeliveryFailedError, ReceiverGoneError, UnreadableSecretError
from kamu_assets.webhooks.messages import MESSAGES
from kamu_assets.webhooks.model import Delivery, DeliveryRules, DeliveryState, Subscription, SubscriptionInput
from kamu_assets.webhooks.receivers import SubscribedReceivers
from kamu_assets.webhooks.service import NewSecret
from kamu_assets.webhooks.setup import WebhookParts, webhook_parts
from tests.support.heart import ADMIN, Heart, account, open_heart

LOCAL = EgressPolicy.allowing(["127.0.0.1"])
BOB = Caller(account("bob"))


@dataclass
class Attempts:
    """Keeps the runs that the scheduler wants; those that it never heard of died with another process."""

    waiting: list[Flow] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)

    def submit(self, flow: Flow) -> None:
        self.waiting.append(flow)

    def status(self, run_id: str) -> RunStatus:
        known = any(flow.run_id == run_id for flow in self.waiting)
        return RunStatus(RunState.WAITING if known else RunState.LOST, "its process died")

    def cancel(self, run_id: str) -> None:
        self.canceled.append(run_id)


@dataclass
class Hooks:
    """The parts of a node that tell others."""

    heart: Heart
    outbox: Outbox
    flows: FlowService
    scheduler: FlowScheduler
    attempts: Attempts
    parts: WebhookParts

    def subscribe(self, url: str, dataset: DatasetID | None = None, label: str = "") -> NewSecret:
        wanted = SubscriptionInput(target_url=url, label=label)
        return self.parts.service.create(ADMIN, dataset, wanted)

    def subscription(self, made: NewSecret) -> Subscription:
        return self.parts.service.get(ADMIN, made.subscription.id)

    def deliveries(self, made: NewSecret) -> Sequence[Delivery]:
        """Oldest first."""
        return list(reversed(self.parts.service.deliveries(ADMIN, made.subscription.id, limit=10_000)))

    def states(self, made: NewSecret) -> list[DeliveryState]:
        return [each.state for each in self.deliveries(made)]

    def dispatch(self) -> None:
        while self.parts.dispatcher.step():
            pass

    def flows_of(self, made: NewSecret) -> Sequence[Flow]:
        """Oldest first."""
        wanted = FlowFilter(subscriptions=[made.subscription.id])
        return list(reversed(FlowLists(self.heart.database).page(ADMIN, wanted, limit=10_000).flows))

    def deliver(self) -> list[int | None]:
        """One attempt of each flow that is due now; the statuses of the last answers, None without one."""
        self.dispatch()
        self.scheduler.reconcile()
        self.scheduler.step()
        due, self.attempts.waiting = self.attempts.waiting, []
        return [status for flow in due for status in self.attempt(flow)]

    def fail(self, times: int) -> None:
        """So many attempts, as soon as they are due."""
        for _ in range(times):
            self.deliver()
            self.heart.clock.advance(3_601)

    def attempt(self, flow: Flow) -> list[int | None]:
        return attempt(self.flows, self.parts.deliverer, flow)


def attempt(flows: FlowService, deliverer: Deliverer, flow: Flow) -> list[int | None]:
    """What a run does; the statuses of the answers as far as they are known."""
    assert isinstance(flow.scope, WebhookScope)
    run_id = str(flow.run_id)
    flows.run_started(run_id)
    try:
        sent = deliverer.deliver(flow.scope.subscription_id, run_id=run_id)
    except DeliveryFailedError as error:
        lasts, ours = isinstance(error, ReceiverGoneError), isinstance(error, UnreadableSecretError)
        failed = FlowOutcome(OutcomeKind.FAILED, str(error), not lasts, retry_after=error.retry_after, by_node=ours)
        flows.run_finished(run_id, failed)
        return [error.status]
    flows.run_finished(run_id, FlowOutcome(OutcomeKind.SUCCESS if sent else OutcomeKind.UP_TO_DATE))
    return [200] * sent


def subscribed(hooks: Hooks, url: str) -> tuple[DatasetID, NewSecret]:
    """A dataset, and who is told of it."""
    dataset = hooks.heart.dataset().id
    return dataset, hooks.subscribe(url, dataset)


def reason(hooks: Hooks, made: NewSecret) -> str | None:
    """Why the newest delivery did not get there."""
    return hooks.deliveries(made)[-1].message


def open_hooks(
    home: Path,
    *,
    url: str | None = None,
    policy: EgressPolicy = LOCAL,
    rules: DeliveryRules = DeliveryRules(),  # noqa: B008 - frozen
    context: ssl.SSLContext | None = None,
    allow_http: bool = True,
    key: bytes = bytes(32),
    clock: Clock | None = None,
) -> Hooks:
    """All of it on a folder; a SQLite file in it unless another database is named. `clock`: for all but datasets."""
    heart = open_heart(home, url=url)
    now = clock or heart.clock
    types = MessageTypes([*DATASET_MESSAGES, *FLOW_MESSAGES, *MESSAGES])
    outbox = Outbox(heart.database, clock=now, types=types)
    flows = FlowService(
        database=heart.database,
        outbox=outbox,
        datasets=heart.datasets,
        access=Access(),
        clock=now,
        rules=FlowRules(throttling_seconds=0, retries={FlowType.WEBHOOK_DELIVER: rules.retry}),
        receivers=SubscribedReceivers(outbox=outbox, clock=now, stop_after=rules.max_consecutive_failures),
    )
    attempts = Attempts()
    scheduler = FlowScheduler(
        database=heart.database,
        outbox=outbox,
        flows=flows,
        chains=heart.chains,
        orchestrator=attempts,
        clock=now,
        max_running=4,
    )
    parts = webhook_parts(
        database=heart.database,
        outbox=outbox,
        access=Access(),
        clock=now,
        policy=policy,
        life=flows.life,
        rules=rules,
        context=context,
        allow_http=allow_http,
        key=lambda: key,
    )
    return Hooks(heart, outbox, flows, scheduler, attempts, parts)
