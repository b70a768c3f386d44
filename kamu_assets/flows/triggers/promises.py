"""Rows of promises: active triggers that name times, and when what they start went well last."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import datasets
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.processes.store import processes
from kamu_assets.flows.triggers.rules import Trigger
from kamu_assets.flows.triggers.store import is_active, is_timed, trigger_of, triggers
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp

_UPDATING = (FlowType.INGEST, FlowType.EXECUTE_TRANSFORM)


@dataclass(frozen=True, slots=True)
class Promise:
    """That a dataset is kept up to date, and since when it was."""

    alias: DatasetAlias
    trigger: Trigger
    last_success_at: Timestamp | None


class Promises:
    """Reads them together, and nothing else: there may be ten thousand."""

    def all(self, tx: Transaction, *, of: Collection[DatasetID] | None = None) -> Sequence[Promise]:
        """Of datasets that exist; `of` some of them only."""
        succeeded = and_(processes.c.scope == triggers.c.dataset_id, processes.c.type == triggers.c.type)
        source = triggers.join(datasets, datasets.c.id == triggers.c.dataset_id).outerjoin(processes, succeeded)
        query = select(triggers, datasets.c.account, datasets.c.name, processes.c.last_success_at).select_from(source)
        query = query.where(is_active, is_timed, triggers.c.type.in_([type_.value for type_ in _UPDATING]))
        if of is not None:
            query = query.where(triggers.c.dataset_id.in_(of))
        return [
            Promise(DatasetAlias(row.account, row.name), trigger_of(row), row.last_success_at)
            for row in tx.execute(query.order_by(triggers.c.dataset_id, triggers.c.type))
        ]
