"""Webhooks on the heart: a real database, real HTTP, a clock that tests move."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.messages import MESSAGES as DATASET_MESSAGES
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.governance.access import Access
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.courier import Courier
from kamu_assets.webhooks.errors import DeliveryFailedError, NotDueError
from kamu_assets.webhooks.messages import MESSAGES
from kamu_assets.webhooks.model import Delivery, DeliveryRules, DeliveryState, Subscription, SubscriptionInput
from kamu_assets.webhooks.service import NewSecret
from kamu_assets.webhooks.setup import WebhookParts, webhook_parts
from tests.support.heart import ADMIN, Heart, account, open_heart

LOCAL = EgressPolicy.allowing(["127.0.0.1"])
BOB = Caller(account("bob"))


@dataclass
class Hooks:
    """The parts of a node that tell others."""

    heart: Heart
    outbox: Outbox
    parts: WebhookParts
    courier: Courier

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

    def deliver(self) -> list[int | None]:
        """One attempt at all that is due now; the statuses of the answers, None without one."""
        self.dispatch()
        return [self._attempt(delivery) for delivery in self.parts.deliverer.due(limit=1_000)]

    def fail(self, times: int) -> None:
        """So many attempts, as soon as they are due."""
        for _ in range(times):
            self.deliver()
            self.heart.clock.advance(3_601)

    def _attempt(self, delivery: Delivery) -> int | None:
        try:
            return self.parts.deliverer.deliver(delivery.id)
        except DeliveryFailedError as error:
            return error.status
        except NotDueError:
            return None


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
    clock: Clock | None = None,
) -> Hooks:
    """All of it on a folder; a SQLite file in it unless another database is named. `clock`: for all but datasets."""
    heart = open_heart(home, url=url)
    outbox = Outbox(heart.database, clock=clock or heart.clock, types=MessageTypes([*DATASET_MESSAGES, *MESSAGES]))
    parts = webhook_parts(
        database=heart.database,
        outbox=outbox,
        access=Access(),
        clock=clock or heart.clock,
        policy=policy,
        rules=rules,
        context=context,
        allow_http=allow_http,
    )
    return Hooks(heart, outbox, parts, parts.courier())
