"""Deletes datasets: all that somebody asked for or nothing, and nothing that others read."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.commit.bookkeeping import LINEAGE_LOCK, Bookkeeping
from kamu_assets.datasets.errors import DanglingReferenceError
from kamu_assets.datasets.lifecycle.removal import Removal
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.lookup import Lookup
from kamu_assets.datasets.messages import DatasetDeleted
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.storage.volumes import Volumes


class Deletion:
    """The rows first, files follow."""

    def __init__(self, *, database: Database, volumes: Volumes, outbox: Outbox, access: Access) -> None:
        self._database = database
        self._outbox = outbox
        self._lookup = Lookup(access)
        self._lineage = Lineage()
        self._books = Bookkeeping(outbox)
        self._removal = Removal(database=database, volumes=volumes)

    def plan(self, caller: Caller, refs: Iterable[DatasetRef], *, recursive: bool) -> Sequence[DatasetEntry]:
        """What would be deleted, with all that is computed from it if `recursive`; DanglingReferenceError."""
        with self._database.reading() as tx:
            return self._plan(tx, caller, refs, recursive=recursive)

    def delete(self, caller: Caller, refs: Iterable[DatasetRef]) -> Sequence[DatasetEntry]:
        """Delete all of them or none, those first that read others of them; DanglingReferenceError."""
        with self._database.transaction() as tx:
            tx.lock(LINEAGE_LOCK)
            entries = self._plan(tx, caller, refs, recursive=False)
            for entry in entries:
                self._books.forget(tx, entry.id)
                self._outbox.post(tx, DatasetDeleted(dataset_id=entry.id, alias=entry.alias, kind=entry.kind))
        # Not before the commit: a deletion that fails must leave the files; one that stops here is finished later.
        for entry in entries:
            self._removal.finish(entry.id)
        return entries

    def _plan(
        self, tx: Transaction, caller: Caller, refs: Iterable[DatasetRef], *, recursive: bool
    ) -> Sequence[DatasetEntry]:
        doomed = {entry.id: entry for entry in (self._lookup.get(tx, caller, ref, Action.OWN) for ref in refs)}
        if recursive:
            self._add_dependents(tx, caller, doomed)
        for entry in doomed.values():
            self._refuse_if_used(tx, caller, entry, besides=doomed)
        return self._readers_first(tx, doomed)

    def _add_dependents(self, tx: Transaction, caller: Caller, doomed: dict[DatasetID, DatasetEntry]) -> None:
        frontier = list(doomed)
        while frontier:
            fresh = [id_ for id_ in self._lineage.dependents(tx, frontier.pop()) if id_ not in doomed]
            # One that the caller may not know of stays, and so does what it reads.
            for reader in self._lookup.visible(tx, caller, fresh):
                doomed[reader.id] = self._lookup.get(tx, caller, reader.id, Action.OWN)
                frontier.append(reader.id)

    def _refuse_if_used(
        self, tx: Transaction, caller: Caller, entry: DatasetEntry, *, besides: Mapping[DatasetID, DatasetEntry]
    ) -> None:
        others = [id_ for id_ in self._lineage.dependents(tx, entry.id) if id_ not in besides]
        if others:
            seen = sorted(reader.alias for reader in self._lookup.visible(tx, caller, others))
            raise DanglingReferenceError(entry.alias, seen, hidden=len(others) - len(seen))

    def _readers_first(self, tx: Transaction, doomed: Mapping[DatasetID, DatasetEntry]) -> Sequence[DatasetEntry]:
        inputs = self._lineage.inputs_of(tx, doomed.keys())
        order = TopologicalSorter({id_: inputs.get(id_, ()) for id_ in doomed}).static_order()
        return [doomed[id_] for id_ in order if id_ in doomed][::-1]
