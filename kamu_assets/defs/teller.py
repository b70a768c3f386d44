"""How the node tells receivers, inside Dagster runs that wait for them beside each other."""

import logging
import threading
from typing import Protocol

from kamu_assets.webhooks.recall import Recall


class Delivers(Protocol):
    """Webhooks, as far as these runs need them."""

    def deliver(self, subscription: str, *, run_id: str, recall: Recall | None = None) -> int: ...


class NodeTeller:
    """Knows who is being told, so that they can be called back."""

    def __init__(self, deliverer: Delivers) -> None:
        self._deliverer = deliverer
        self._changing = threading.Lock()
        self._recalls: dict[str, Recall] = {}

    def deliver(self, webhook: str, *, run_id: str, log: logging.Logger) -> int:
        """Until all is sent, or one fails."""
        with self._changing:
            # Somebody may have asked before.
            recall = self._recalls.setdefault(run_id, Recall())
        try:
            sent = self._deliverer.deliver(webhook, run_id=run_id, recall=recall)
        finally:
            with self._changing:
                del self._recalls[run_id]
        log.info("delivered: %s", sent) if sent else log.info("there was nothing to deliver")
        return sent

    def recall(self, run_id: str) -> None:
        """Have a run that is at work wait no longer, or not begin to."""
        with self._changing:
            self._recalls.setdefault(run_id, Recall()).ask()
