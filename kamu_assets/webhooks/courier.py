"""Runs attempts until flows do: receivers beside each other, the deliveries of one receiver one after the other."""

import threading
from functools import partial

import structlog

from kamu_assets.webhooks.deliverer import Deliverer
from kamu_assets.webhooks.dispatcher import Dispatcher
from kamu_assets.webhooks.errors import DeliveryFailedError, NotDueError
from kamu_assets.webhooks.model import Delivery

log = structlog.get_logger(__name__)

# Receivers that are waited for at the same time; one that hangs holds one place until its time is up.
RECEIVERS_AT_ONCE = 32


class Courier:
    """Follows the outbox and delivers, from one thread that calls `step` now and then."""

    def __init__(self, *, dispatcher: Dispatcher, deliverer: Deliverer, places: int = RECEIVERS_AT_ONCE) -> None:
        self._dispatcher = dispatcher
        self._deliverer = deliverer
        self._places = places
        self._busy: set[str] = set()
        self._changed = threading.Condition()

    def step(self) -> bool:
        """Make new deliveries, and begin those that are due; whether it pays to come back soon."""
        more = self._dispatcher.step()
        with self._changed:
            busy = sorted(self._busy)
        found = self._deliverer.due(besides=busy, limit=self._places - len(busy)) if len(busy) < self._places else ()
        for delivery in found:
            self._begin(delivery)
        return more

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether all that was begun has ended, waiting for that so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, seconds)

    def _begin(self, delivery: Delivery) -> None:
        with self._changed:
            self._busy.add(delivery.subscription_id)
        # It may be left behind when the process ends: whoever comes next finds what it has not written down.
        threading.Thread(target=partial(self._serve, delivery), name="webhook", daemon=True).start()

    def _serve(self, delivery: Delivery) -> None:
        """Deliver, and whatever is due to the same receiver after that."""
        try:
            next_: Delivery | None = delivery
            while next_ is not None:
                self._deliver(next_)
                next_ = self._deliverer.next_due(delivery.subscription_id)
        except Exception:
            log.exception("webhook_thread_failed", subscription=delivery.subscription_id)
        finally:
            with self._changed:
                self._busy.discard(delivery.subscription_id)
                self._changed.notify_all()

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._deliverer.deliver(delivery.id)
        except (DeliveryFailedError, NotDueError):
            # Written down; what follows is decided by its rows.
            return
