"""Pushes that should have been followed by now, told from the outbox: whoever follows it may have missed them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox_store import OutboxStore
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.messages import DatasetUpdated
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.scheduling.backlog import Backlog
from kamu_assets.flows.service import updating
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# What is followed at all is followed within that.
GRACE_SECONDS = 30
MESSAGES_AT_ONCE = 1000

# The newest block of a dataset that is told of outside, if any.
Told = Callable[[DatasetAlias], Multihash | None]


@dataclass(frozen=True, slots=True)
class _Push:
    """When it came, and the head that it made."""

    at: Timestamp
    head: Multihash


@dataclass(frozen=True, slots=True)
class Overdue:
    """A dataset that was not followed, and its head by then."""

    dataset: DatasetID
    head: Multihash


class OverduePushes:
    """Goes through the outbox once: what is found is found by whoever looks on from the same place."""

    def __init__(self, *, database: Database, chains: Chains, clock: Clock, told: Told) -> None:
        self._database = database
        self._clock = clock
        self._told = told
        self._messages = OutboxStore()
        self._entries = DatasetStore()
        self._index = BlockIndex()
        self._lineage = Lineage()
        self._flows = FlowStore()
        self._triggers = TriggerStore()
        self._processes = ProcessStore()
        self._backlog = Backlog(chains)

    def after(self, position: int) -> tuple[int, Sequence[Overdue]]:
        """How far the outbox was looked through, from a position on, and what was found."""
        limit = Timestamp(self._clock.now().ns - GRACE_SECONDS * NANOS_PER_SECOND)
        pushed: dict[DatasetID, _Push] = {}
        with self._database.reading() as tx:
            for message in self._messages.kept(tx, position, MESSAGES_AT_ONCE):
                if message.posted_at > limit:
                    break
                position = message.id
                if message.topic == DatasetUpdated.topic:
                    update = DatasetUpdated.model_validate_json(message.body)
                    if update.new_records:
                        pushed[update.dataset_id] = _Push(message.posted_at, update.new_head)
            entries = self._entries.get_many(tx, list(pushed)) if pushed else ()
            found = [self._found(tx, entry, pushed[entry.id]) for entry in entries]
        return position, [each for each in found if each is not None]

    def _found(self, tx: Transaction, entry: DatasetEntry, push: "_Push") -> Overdue | None:
        # Later ones are nobody's debt yet; one that is in the chain no more makes whatever stands in its place one.
        until = self._index.sequence_of(tx, entry.id, push.head)
        newest = self._index.newest_data(tx, entry.id, until=sys.maxsize if until is None else until)
        if newest is None:
            return None
        if not (self._is_untold(tx, entry, newest.sequence_number) or self._is_unread(tx, entry, push.at)):
            return None
        return Overdue(entry.id, newest.block_hash)

    def _is_untold(self, tx: Transaction, entry: DatasetEntry, newest: int) -> bool:
        if self._is_at_work(tx, entry):
            # Its run tells when it ends.
            return False
        told = self._told(entry.alias)
        sequence = None if told is None else self._index.sequence_of(tx, entry.id, told)
        return sequence is None or sequence < newest

    def _is_at_work(self, tx: Transaction, entry: DatasetEntry) -> bool:
        return any(flow.scope == entry.id for flow in self._flows.live_of(tx, entry.id))

    def _is_unread(self, tx: Transaction, entry: DatasetEntry, at: Timestamp) -> bool:
        readers = self._entries.get_many(tx, self._lineage.dependents(tx, entry.id))
        return any(self._is_waiting(tx, reader, entry.id, at) for reader in readers)

    def _is_waiting(self, tx: Transaction, reader: DatasetEntry, input_: DatasetID, at: Timestamp) -> bool:
        """Whether a derivative that reacts has neither tried to read what is new, nor is about to."""
        binding = updating(reader)
        if self._triggers.reaction(tx, binding) is None or self._is_at_work(tx, reader):
            return False
        tried = self._processes.get(tx, binding).last_attempt_at
        if tried is not None and tried >= at:
            return False
        return any(news.input == input_ and news.records for news in self._backlog.of(tx, reader.id))
