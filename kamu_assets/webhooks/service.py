"""Use cases of subscriptions. Who may maintain a dataset has its subscriptions; admins have those to all datasets."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import SecretStr

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.shrinking import empty_log
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.checks import check_label, checked_events
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.errors import DeliveryFailedError, DuplicateLabelError, UnreadableSecretError
from kamu_assets.webhooks.heads import KnownHeads
from kamu_assets.webhooks.messages import WebhookSubscriptionChanged
from kamu_assets.webhooks.model import (
    OFFERED,
    Delivery,
    EventType,
    Subscription,
    SubscriptionInput,
    SubscriptionStatus,
)
from kamu_assets.webhooks.payload import payload
from kamu_assets.webhooks.pending import PendingFlows
from kamu_assets.webhooks.permits import Permits
from kamu_assets.webhooks.post import Post, new_id
from kamu_assets.webhooks.sealing import Seal, is_closed
from kamu_assets.webhooks.sender import Letter, Sender
from kamu_assets.webhooks.states import PAUSE, REACTIVATE, REMOVE, RESUME, ROTATE, UPDATE, Change
from kamu_assets.webhooks.store import SubscriptionStore
from kamu_assets.webhooks.targets import Targets

_SECRET_BYTES = 32


def new_secret() -> SecretStr:
    """64 hexadecimal digits; their text is the key of signatures."""
    return SecretStr(secrets.token_hex(_SECRET_BYTES))


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A subscription, and its secret, which is shown this once."""

    subscription: Subscription
    secret: SecretStr


class Webhooks:
    """Subscriptions as callers use them; deliveries are made elsewhere."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        access: Access,
        clock: Clock,
        targets: Targets,
        post: Post,
        sender: Sender,
        seal: Seal,
        pending: PendingFlows,
        make_secret: Callable[[], SecretStr] = new_secret,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._targets = targets
        self._post = post
        self._sender = sender
        self._seal = seal
        self._pending = pending
        self._make_secret = make_secret
        self._make_id = make_id
        self._permits = Permits(access)
        self._heads = KnownHeads(post)
        self._subscriptions = SubscriptionStore()
        self._deliveries = DeliveryStore()
        self._entries = DatasetStore()
        self._references = References()

    def event_types(self) -> Sequence[EventType]:
        """What one can subscribe to."""
        return OFFERED

    def create(self, caller: Caller, dataset: DatasetRef | None, wanted: SubscriptionInput) -> NewSecret:
        """Subscribe to a dataset, or to all as an admin; enabled at once."""
        with self._database.reading() as tx:
            # Before names are looked up for somebody.
            self._permits.dataset(tx, caller, dataset)
        events = checked_events(wanted.event_types)
        check_label(wanted.label)
        target = self._targets.check(wanted.target_url)
        with self._database.transaction() as tx:
            entry = self._permits.dataset(tx, caller, dataset)
            about = None if entry is None else entry.id
            self._check_free(tx, about, wanted.label)
            id_, secret = self._make_id(), self._make_secret()
            made = Subscription(
                id=id_,
                dataset_id=about,
                target_url=target,
                event_types=events,
                label=wanted.label,
                status=SubscriptionStatus.ENABLED,
                secret=self._seal.closed(secret, id_),
                created_at=self._clock.now(),
                told_head=None if about is None else self._references.head(tx, about),
            )
            self._subscriptions.add(tx, made)
            self._announce(tx, made)
        return NewSecret(made, secret)

    def get(self, caller: Caller, id_: str) -> Subscription:
        with self._database.reading() as tx:
            return self._permits.find(tx, caller, id_)

    def list(self, caller: Caller, dataset: DatasetRef | None = None) -> Sequence[Subscription]:
        """Those of a dataset, or all that the caller may see; oldest first."""
        with self._database.reading() as tx:
            return self._permits.list(tx, caller, dataset)

    def update(self, caller: Caller, id_: str, wanted: SubscriptionInput) -> Subscription:
        """Another target, label or choice of events; the secret stays."""
        self.get(caller, id_)
        events = checked_events(wanted.event_types)
        check_label(wanted.label)
        target = self._targets.check(wanted.target_url)
        with self._database.transaction() as tx:
            old = self._permits.hold(tx, caller, id_)
            self._check_free(tx, old.dataset_id, wanted.label, besides=id_)
            changed = replace(old, target_url=target, event_types=events, label=wanted.label)
            return self._save(tx, replace(changed, status=UPDATE.of(old)))

    def pause(self, caller: Caller, id_: str) -> Subscription:
        """Tell it nothing until it is resumed; UnexpectedStatusError."""
        with self._database.transaction() as tx:
            self._pending.hold(tx, id_)
            paused = self._changed(tx, caller, id_, PAUSE)
            self._pending.drop(tx, paused, "its webhook was paused")
            return paused

    def resume(self, caller: Caller, id_: str) -> Subscription:
        """Go on, with one delivery of all that was missed, for each dataset; UnexpectedStatusError."""
        with self._database.transaction() as tx:
            self._pending.hold(tx, id_)
            was = self._permits.hold(tx, caller, id_)
            resumed = self._changed(tx, caller, id_, RESUME)
            if was.status is not resumed.status:
                self._heads.catch_up(tx, resumed, since=was.status_since)
            return resumed

    def reactivate(self, caller: Caller, id_: str) -> Subscription:
        """Go on after the node has given up; UnexpectedStatusError."""
        with self._database.transaction() as tx:
            self._pending.hold(tx, id_)
            was = self._permits.hold(tx, caller, id_)
            active = self._changed(tx, caller, id_, REACTIVATE)
            self._heads.catch_up(tx, active, since=was.status_since)
            return active

    def rotate_secret(self, caller: Caller, id_: str) -> NewSecret:
        """A new secret; the old one signs nothing from now on, deliveries that are tried again included."""
        with self._database.transaction() as tx:
            held = self._permits.hold(tx, caller, id_)
            secret = self._make_secret()
            rotated = replace(held, status=ROTATE.of(held), secret=self._seal.closed(secret, id_))
            return NewSecret(self._save(tx, rotated), secret)

    def secrets(self) -> Iterator[str]:
        """Those of all, for whoever sees to it that nobody reads them."""
        with self._database.reading() as tx:
            found = self._subscriptions.all(tx)
        for each in found:
            # What nobody can open, nobody can tell.
            with suppress(UnreadableSecretError):
                yield self._seal.opened(each).get_secret_value()

    def seal_secrets(self, database: Database) -> None:
        """Encrypt those that an older node stored as they are; what SQLite keeps of them is overwritten."""
        with database.transaction() as tx:
            sealed = [each.id for each in self._subscriptions.all(tx) if self._sealed_now(tx, each)]
            if sealed:
                self._subscriptions.write_anew(tx)
        if sealed and database.file is not None:
            # Until then the file and the log beside it have what was.
            empty_log(database.file)

    def remove(self, caller: Caller, id_: str) -> None:
        """Forget it, but for the history of its deliveries."""
        with self._database.transaction() as tx:
            self._pending.hold(tx, id_)
            held = self._permits.hold(tx, caller, id_)
            self._pending.drop(tx, held, "its webhook was removed")
            self._save(tx, replace(held, status=REMOVE.of(held), secret=SecretStr("")))

    def test(self, caller: Caller, id_: str) -> Delivery:
        """Send a `TEST` now, whatever the state; how it went counts for nothing."""
        with self._database.reading() as tx:
            subscription = self._permits.find(tx, caller, id_)
            dataset = subscription.dataset_id
            about = None if dataset is None else self._entries.get(tx, dataset)
        delivery = replace(self._post.made(subscription, EventType.TEST, dataset), attempt=1)
        outcome: int | DeliveryFailedError
        try:
            outcome = self._sender.send(Letter(subscription, delivery, payload(delivery, about)))
        except DeliveryFailedError as error:
            outcome = error
        with self._database.transaction() as tx:
            return self._post.note(tx, delivery, outcome)

    def deliveries(
        self, caller: Caller, id_: str, *, flow: int | None = None, limit: int = 50, offset: int = 0
    ) -> Sequence[Delivery]:
        """What was sent, is being sent and waits, newest first; of one flow only, the last that sent it."""
        with self._database.reading() as tx:
            self._permits.find(tx, caller, id_)
            return self._deliveries.list(tx, id_, flow=flow, limit=limit, offset=offset)

    def next_attempt(self, caller: Caller, id_: str) -> Timestamp | None:
        """When what waits for it is sent, if something does and is not being sent."""
        with self._database.reading() as tx:
            return self._pending.next_attempt(tx, self._permits.find(tx, caller, id_))

    def prune(self, tx: Transaction, *, older_than: float) -> int:
        """Forget deliveries that ended so many seconds ago, and of removed receivers the rest; tells how many."""
        forgotten = self._post.prune(tx, older_than=older_than)
        for id_ in self._subscriptions.forget_removed(tx):
            self._pending.forget(tx, id_)
        return forgotten

    def _sealed_now(self, tx: Transaction, found: Subscription) -> bool:
        held = None if is_closed(found.secret) else self._subscriptions.hold(tx, found.id)
        if held is None or is_closed(held.secret):
            return False
        self._subscriptions.save(tx, replace(held, secret=self._seal.closed(held.secret, held.id)))
        return True

    def _changed(self, tx: Transaction, caller: Caller, id_: str, change: Change) -> Subscription:
        """Whatever stopped it is forgotten."""
        held = self._permits.hold(tx, caller, id_)
        after = change.of(held)
        if after is held.status:
            return self._save(tx, held)
        self._pending.count_anew(tx, held)
        changed = replace(held, status=after, status_since=self._clock.now(), stop_reason=None)
        return self._save(tx, replace(changed, consecutive_failures=0))

    def _save(self, tx: Transaction, subscription: Subscription) -> Subscription:
        self._subscriptions.save(tx, subscription)
        self._announce(tx, subscription)
        return subscription

    def _announce(self, tx: Transaction, subscription: Subscription) -> None:
        self._outbox.post(
            tx,
            WebhookSubscriptionChanged(
                subscription_id=subscription.id, dataset_id=subscription.dataset_id, status=subscription.status
            ),
        )

    def _check_free(
        self, tx: Transaction, dataset: DatasetID | None, label: str, *, besides: str | None = None
    ) -> None:
        # The empty label may repeat.
        tx.lock("webhook-labels")
        if label and self._subscriptions.has_label(tx, dataset, label, besides=besides):
            raise DuplicateLabelError(label)
