"""Rows of promises: active triggers that name times, and when what they start went well last."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.process_store import processes
from kamu_assets.flows.rules import Trigger
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class Promise:
    """That a dataset is kept up to date, and since when it was."""

    alias: DatasetAlias
    trigger: Trigger
    last_success_at: Timestamp | None


class Promises:
    """Reads them together: there may be ten thousand."""

    def __init__(self) -> None:
        self._entries = DatasetStore()
        self._triggers = TriggerStore()

    def all(self, tx: Transaction) -> Sequence[Promise]:
        """Of datasets that exist."""
        updating = [FlowType.INGEST, FlowType.EXECUTE_TRANSFORM]
        kept = [each for each in self._triggers.list(tx) if each.is_timed and not each.paused and each.type in updating]
        found = tx.execute(
            select(processes.c.scope, processes.c.last_success_at).where(
                and_(processes.c.type.in_([kind.value for kind in updating]), processes.c.last_success_at.is_not(None))
            )
        )
        successes: dict[object, Timestamp] = {row.scope: row.last_success_at for row in found} if kept else {}
        entries = self._entries.get_many(tx, [each.dataset_id for each in kept]) if kept else ()
        aliases: dict[DatasetID, DatasetAlias] = {entry.id: entry.alias for entry in entries}
        return [
            Promise(aliases[each.dataset_id], each, successes.get(each.dataset_id))
            for each in kept
            if each.dataset_id in aliases
        ]
