"""The use cases of datasets: create, adopt, find, list, look into, rename, delete."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.chains import ChainBlock, Chains
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.statistics import StatisticsStore
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.commit.head_files import HeadFiles
from kamu_assets.datasets.damaged_slices import StoredSlice
from kamu_assets.datasets.description import DatasetDescription, DescribedInput
from kamu_assets.datasets.directory import OnProgress
from kamu_assets.datasets.lifecycle.adoption import Adoption, Examine
from kamu_assets.datasets.lifecycle.creation import CheckTransform, Creation, random_dataset_id
from kamu_assets.datasets.lifecycle.deletion import Deletion
from kamu_assets.datasets.lifecycle.removal import Removal
from kamu_assets.datasets.lifecycle.renaming import Renaming
from kamu_assets.datasets.lineage.graph import LineageGraph
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.lookup import Lookup
from kamu_assets.datasets.model import DatasetEntry, DatasetSummary
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.dataset import DatasetSnapshot
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.identity import AccountName, DatasetAlias, DatasetID, DatasetRef, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.layout import data_key, dataset_folder
from kamu_assets.storage.volumes import Volumes


def _tell_nobody(_: int, __: int) -> None:
    """Ignore progress."""


def _parsed(snapshot: DatasetSnapshot | str) -> DatasetSnapshot:
    if isinstance(snapshot, DatasetSnapshot):
        return snapshot
    from kamu_assets.odf.serde.yaml import parse_snapshot  # most processes never read one

    return parse_snapshot(snapshot)


class Datasets:
    """What a caller may do with datasets."""

    def __init__(
        self,
        *,
        database: Database,
        volumes: Volumes,
        chains: Chains,
        committer: Committer,
        outbox: Outbox,
        access: Access,
        clock: Clock,
        new_dataset_id: Callable[[], DatasetID] = random_dataset_id,
        check_transform: CheckTransform | None = None,
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._chains = chains
        self._access = access
        self._lookup = Lookup(access)
        self._entries = DatasetStore()
        self._references = References()
        self._statistics = StatisticsStore()
        self._lineage = Lineage()
        self._head_files = HeadFiles(database=database, volumes=volumes)
        self._removal = Removal(database=database, volumes=volumes)
        self._renaming = Renaming(database=database, volumes=volumes, outbox=outbox, access=access)
        self._deletion = Deletion(database=database, volumes=volumes, outbox=outbox, access=access)
        accounts = AccountStore()
        self._creation = Creation(
            database=database,
            committer=committer,
            accounts=accounts,
            access=access,
            clock=clock,
            new_dataset_id=new_dataset_id,
            check_transform=check_transform,
        )
        self._check_transform = check_transform
        self._adoption = Adoption(
            database=database, volumes=volumes, outbox=outbox, accounts=accounts, access=access, clock=clock
        )

    def create_from_snapshot(
        self,
        caller: Caller,
        snapshot: DatasetSnapshot | str,
        *,
        account: AccountName | None = None,
        system_time: Timestamp | None = None,
    ) -> DatasetEntry:
        """A new dataset from a manifest or its YAML text; `account` is for names without one, else the caller's."""
        return self._creation.create(caller, _parsed(snapshot), account=account, system_time=system_time)

    def create_all(
        self,
        caller: Caller,
        snapshots: Sequence[DatasetSnapshot],
        *,
        account: AccountName | None = None,
        system_time: Timestamp | None = None,
    ) -> list[DatasetEntry]:
        """New datasets, those first that others of them read."""
        return self._creation.create_all(caller, snapshots, account=account, system_time=system_time)

    def check_snapshot(self, caller: Caller, snapshot: DatasetSnapshot, *, beside: Collection[DatasetAlias]) -> None:
        """Raise what creating it would if the datasets `beside` were there; that its name is taken is no reason."""
        self._creation.check(caller, snapshot, beside=beside)

    def check_transform(self, transform: TransformSql) -> None:
        """Raise when it is plain that the query will never be computed here; an InvalidError says why."""
        if self._check_transform is not None:
            self._check_transform(transform)

    def adopt(
        self,
        caller: Caller,
        directory: Path,
        alias: DatasetAlias | None = None,
        *,
        on_progress: OnProgress = _tell_nobody,
        examine: Examine | None = None,
    ) -> DatasetEntry:
        """Take in a dataset directory, in place if it lies in our volume; named by `alias` or its `info/alias`.

        Blocks and the names of files are checked here; `examine` may look into the files before they are registered.
        """
        return self._adoption.adopt(caller, directory, alias, on_progress=on_progress, examine=examine)

    def resolve(self, caller: Caller, ref: DatasetRef, *, action: Action = Action.READ) -> DatasetEntry:
        """The dataset behind a reference, if the caller may do this to it."""
        with self._database.reading() as tx:
            return self._lookup.get(tx, caller, ref, action)

    def select(self, caller: Caller, texts: Iterable[str]) -> Sequence[DatasetEntry]:
        """What references and patterns with `%` mean, each dataset once: DatasetNotFoundError, NothingMatchesError."""
        with self._database.reading() as tx:
            return self._lookup.select(tx, caller, texts)

    def list(
        self, caller: Caller, *, account: AccountName | None = None, limit: int | None = None, offset: int = 0
    ) -> Sequence[DatasetEntry]:
        """What the caller may read, by account and name."""
        with self._database.reading() as tx:
            found = self._entries.list(tx, account=account)
            seen = [entry for entry in found if self._access.allows(tx, caller, entry, Action.READ)]
        return seen[offset:] if limit is None else seen[offset : offset + limit]

    def summary(self, caller: Caller, ref: DatasetRef) -> DatasetSummary:
        """Head and sums of one dataset."""
        with self._database.reading() as tx:
            entry = self._lookup.get(tx, caller, ref)
            return DatasetSummary(entry, self._chains.head(entry.id, tx=tx), self._statistics.get(tx, entry.id))

    def summaries(self, caller: Caller, *, account: AccountName | None = None) -> Sequence[DatasetSummary]:
        """Head and sums of all datasets the caller may read."""
        with self._database.reading() as tx:
            heads, sums = self._references.heads(tx), self._statistics.all(tx)
            return [
                DatasetSummary(entry, heads[entry.id], sums[entry.id])
                for entry in self._entries.list(tx, account=account)
                if entry.id in heads and entry.id in sums and self._access.allows(tx, caller, entry, Action.READ)
            ]

    def describe(self, caller: Caller, ref: DatasetRef) -> DatasetDescription:
        """Everything about one dataset that its blocks and the registry say."""
        with self._database.reading() as tx:
            entry = self._lookup.get(tx, caller, ref)
            summary = DatasetSummary(entry, self._chains.head(entry.id, tx=tx), self._statistics.get(tx, entry.id))
            chain = self._chains.state(entry.id, tx=tx)
            readers = self._lookup.visible(tx, caller, self._lineage.dependents(tx, entry.id))
            inputs = [
                DescribedInput(
                    item.dataset_ref, item.alias, self._lookup.find(tx, caller, parse_dataset_ref(item.dataset_ref))
                )
                for item in (chain.transform.inputs if chain.transform else ())
            ]
        return DatasetDescription(
            summary, chain, inputs, sorted(readers, key=lambda reader: reader.alias), self.storage_location(entry)
        )

    def log(
        self,
        caller: Caller,
        ref: DatasetRef,
        *,
        newest_first: bool = True,
        start: int | None = None,
        kinds: Collection[EventKind] | None = None,
    ) -> Iterator[ChainBlock]:
        """Blocks of the chain, of all `kinds` or of some, from number `start` on; read as far as the caller goes."""
        entry = self.resolve(caller, ref)
        return self._chains.blocks(entry.id, newest_first=newest_first, start=start, kinds=kinds)

    def inputs(self, caller: Caller, ref: DatasetRef) -> Sequence[DatasetEntry]:
        """What a derivative reads, as far as it is here and the caller may know."""
        with self._database.reading() as tx:
            entry = self._lookup.get(tx, caller, ref)
            return self._lookup.visible(tx, caller, self._lineage.inputs(tx, entry.id))

    def dependents(self, caller: Caller, ref: DatasetRef) -> Sequence[DatasetEntry]:
        """Derivatives that read the dataset, as far as the caller may know."""
        with self._database.reading() as tx:
            entry = self._lookup.get(tx, caller, ref)
            return self._lookup.visible(tx, caller, self._lineage.dependents(tx, entry.id))

    def lineage(self, caller: Caller) -> LineageGraph:
        """All datasets the caller may know of, by name, and what they are computed from."""
        with self._database.reading() as tx:
            found = self._entries.list(tx)
            entries = {entry.id: entry for entry in found if self._access.allows(tx, caller, entry, Action.READ)}
            inputs = self._lineage.all(tx)
        return LineageGraph(entries, {id_: inputs[id_] for id_ in entries if id_ in inputs})

    def rename(self, caller: Caller, ref: DatasetRef, name: DatasetName) -> DatasetEntry:
        """Give another name; NameCollisionError."""
        return self._renaming.rename(caller, ref, name)

    def delete(self, caller: Caller, ref: DatasetRef) -> DatasetEntry:
        """Remove a dataset that no other reads: DanglingReferenceError."""
        return self._deletion.delete(caller, [ref])[0]

    def delete_all(self, caller: Caller, refs: Iterable[DatasetRef]) -> Sequence[DatasetEntry]:
        """Remove datasets that no others read, all or none, those first that read others of them."""
        return self._deletion.delete(caller, refs)

    def plan_deletion(
        self, caller: Caller, refs: Iterable[DatasetRef], *, recursive: bool = False
    ) -> Sequence[DatasetEntry]:
        """What `delete_all` would remove, in its order, with all that is computed from it if `recursive`."""
        return self._deletion.plan(caller, refs, recursive=recursive)

    def repair_heads(self) -> Sequence[DatasetEntry]:
        """At start: publish heads and finish removals that were interrupted; tells whose heads were behind."""
        self._removal.finish_all()
        return self._head_files.repair()

    def storage_location(self, entry: DatasetEntry) -> str:
        """Where the files of a dataset lie: a folder or a URL."""
        return self._volumes.for_kind(entry.kind).location(dataset_folder(entry.id))

    def slice_location(self, entry: DatasetEntry, physical_hash: Multihash) -> str:
        """Where an engine opens a data slice or linked object."""
        return self._volumes.for_kind(entry.kind).location(data_key(entry.id, physical_hash))

    def stored_slices(self, entry: DatasetEntry) -> Iterator[StoredSlice]:
        """Every data slice up to the head, with its place."""
        head = self._chains.head(entry.id)
        for piece in self._chains.slices(entry.id, after=None, until=head) if head else ():
            yield StoredSlice(entry.alias, piece.physical_hash, self.slice_location(entry, piece.physical_hash))
