"""The parts of this area, put together once for a node."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.governance.access import Access
from kamu_assets.webhooks.deliverer import Deliverer
from kamu_assets.webhooks.dispatcher import Dispatcher
from kamu_assets.webhooks.model import DeliveryRules
from kamu_assets.webhooks.pending import PendingFlows
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.processes import ReceiverProcesses
from kamu_assets.webhooks.sealing import Seal
from kamu_assets.webhooks.sender import Sender
from kamu_assets.webhooks.service import Webhooks
from kamu_assets.webhooks.targets import Targets


@dataclass(frozen=True, slots=True)
class WebhookParts:
    """What doors use, what the scheduler's process follows the outbox with, and what runs of flows do."""

    service: Webhooks
    processes: ReceiverProcesses
    dispatcher: Dispatcher
    deliverer: Deliverer


def webhook_parts(
    *,
    database: Database,
    outbox: Outbox,
    access: Access,
    clock: Clock,
    policy: EgressPolicy,
    life: FlowLife,
    rules: DeliveryRules,
    allow_http: bool = False,
    key: Callable[[], bytes],
    context: ssl.SSLContext | None = None,
) -> WebhookParts:
    """All of them; `key`: what secrets are encrypted under; `context`: whom to trust, if not the usual authorities."""
    seal = Seal(key)
    post = Post(clock=clock, life=life)
    sender = Sender(
        policy,
        seal=seal,
        clock=clock,
        timeout_seconds=rules.timeout_seconds,
        allow_http=allow_http,
        context=context,
    )
    service = Webhooks(
        database=database,
        outbox=outbox,
        access=access,
        clock=clock,
        targets=Targets(policy, allow_http=allow_http),
        post=post,
        sender=sender,
        seal=seal,
        pending=PendingFlows(outbox=outbox, life=life),
    )
    return WebhookParts(
        service=service,
        processes=ReceiverProcesses(database, access=access, stop_after=rules.max_consecutive_failures),
        dispatcher=Dispatcher(database=database, outbox=outbox, post=post, life=life),
        deliverer=Deliverer(database=database, post=post, sender=sender),
    )
