"""What the leader does now and then, so that a node stays tidy: each for itself, so that none keeps another from it."""

from collections.abc import Callable, Sequence

from kamu_assets.database.database import Database
from kamu_assets.node import Node
from kamu_assets.query.history.service import QueryHistory


class Chores:
    """Of one term: `database` lets them change nothing after that."""

    def __init__(self, node: Node, database: Database) -> None:
        self._node = node
        self._database = database

    @property
    def all(self) -> Sequence[Callable[[], object]]:
        return (self.prune_outbox, self.collect_garbage, self.seal_secrets, self.prune_deliveries, self.prune_queries)

    def prune_outbox(self) -> None:
        """Forget messages that everybody has read."""
        while self._prune_some():
            pass

    def collect_garbage(self) -> None:
        """Have it collected, if it is time."""
        every = self._node.settings.flow_agent.garbage_interval_secs
        with self._database.transaction() as tx:
            self._node.flow_requests.collect_if_due(tx, every=every)

    def seal_secrets(self) -> None:
        """Encrypt those of webhooks that an older node left as they are."""
        self._node.webhooks.service.seal_secrets(self._database)

    def prune_deliveries(self) -> None:
        """Forget what receivers were told long ago."""
        with self._database.transaction() as tx:
            self._node.webhooks.service.prune(tx, older_than=self._node.settings.webhooks.keep_seconds)

    def prune_queries(self) -> None:
        """Forget what was asked long ago."""
        history = QueryHistory(self._database, clock=self._node.clock)
        history.prune(keep_days=self._node.settings.query.keep_days)

    def _prune_some(self) -> int:
        with self._database.transaction() as tx:
            return self._node.outbox.prune(tx, older_than=self._node.settings.outbox.keep_seconds)
