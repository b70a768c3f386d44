"""Flows that ended long ago are forgotten, a few at a time, while others go on."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, or_, select

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.history.store import attempts, events
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# Flows of one transaction: nobody who wants to write waits long for it.
BATCH: Final = 100
_NANOS_PER_DAY: Final = 86_400 * NANOS_PER_SECOND

_Found = Sequence[Row[Any]]


class FlowRetention:
    """Keeps flows for some days, and the last ones of their kind for ever; what is live stays.

    The figures of processes are kept apart, and tell of flows that are gone.
    """

    def __init__(self, database: Database, *, clock: Clock, keep_days: float, keep_flows: int) -> None:
        self._database = database
        self._clock = clock
        self._age = round(keep_days * _NANOS_PER_DAY)
        self._keep_flows = keep_flows

    def batches(self) -> Iterator[int]:
        """Each step removes some, all or nothing, and tells how many; to stop between two does no harm."""
        until = Timestamp(self._clock.now().ns - self._age)
        oldest_kept: dict[tuple[Any, ...], int] = {}
        after: Row[Any] | None = None
        while found := self._ended(until, after):
            with self._database.reading() as tx:
                for row in found:
                    if (kind := _kind(row)) not in oldest_kept:
                        oldest_kept[kind] = self._oldest_kept(tx, row)
            yield self._remove([row.id for row in found if row.id < oldest_kept[_kind(row)]])
            after = found[-1]

    def runs_of_live_flows(self, run_ids: Collection[str]) -> set[str]:
        """Those of these runs that are attempts of flows which have not ended."""
        query = select(attempts.c.run_id).join(flows, flows.c.id == attempts.c.flow_id)
        with self._database.reading() as tx:
            return {row.run_id for row in tx.execute(query.where(attempts.c.run_id.in_(run_ids), is_live))}

    def _ended(self, until: Timestamp, after: Row[Any] | None) -> _Found:
        """The next flows that are old enough."""
        place = (flows.c.finished_at, flows.c.id)
        query = select(*place, flows.c.scope, flows.c.dataset_id, flows.c.type)
        query = query.where(flows.c.finished_at < until)
        if after is not None:
            same_time = and_(flows.c.finished_at == after.finished_at, flows.c.id > after.id)
            # The first condition alone says from where on the index is read.
            later = or_(flows.c.finished_at > after.finished_at, same_time)
            query = query.where(flows.c.finished_at >= after.finished_at, later)
        with self._database.reading() as tx:
            return tx.execute(query.order_by(*place).limit(BATCH)).all()

    def _oldest_kept(self, tx: Transaction, row: Row[Any]) -> int:
        """Of the last flows that do the same to the same."""
        # The index by datasets is the one to use: there are far more flows of a type, so SQLite must not use that one.
        same_type = func.coalesce(flows.c.type, "") == row.type
        same = (flows.c.dataset_id == row.dataset_id, flows.c.scope == row.scope, same_type)
        query = select(flows.c.id).where(*same).order_by(flows.c.id.desc())
        found: int | None = tx.execute(query.limit(1).offset(self._keep_flows - 1)).scalar_one_or_none()
        return 0 if found is None else found

    def _remove(self, ids: Sequence[int]) -> int:
        if not ids:
            return 0
        with self._database.transaction() as tx:
            tx.execute(delete(events).where(events.c.flow_id.in_(ids)))
            tx.execute(delete(attempts).where(attempts.c.flow_id.in_(ids)))
            tx.execute(delete(flows).where(flows.c.id.in_(ids)))
        return len(ids)


def _kind(row: Row[Any]) -> tuple[Any, ...]:
    return (row.scope, row.dataset_id, row.type)
