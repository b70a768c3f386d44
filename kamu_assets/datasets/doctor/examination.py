"""Compares what SQL says about one dataset with its blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.alias_file import said_instead
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.statistics import StatisticsStore, extend
from kamu_assets.datasets.chains.stored import StoredChain, read_chain
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping, inputs_of
from kamu_assets.datasets.doctor.findings import Finding, FindingKind
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.model import DatasetEntry, DatasetStatistics, IndexedBlock
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.volumes import Volumes

# Bytes that are gone cannot be made again; others may still have them.
_REMEDY = "; restore it from a copy of the dataset, by the same name, and look again"


@dataclass(frozen=True, slots=True)
class _Rows:
    """What SQL says."""

    head: Multihash | None
    blocks: tuple[IndexedBlock, ...]
    statistics: DatasetStatistics
    inputs: tuple[DatasetID, ...]

    def differences(self, chain: StoredChain) -> list[str]:
        """Names of what does not say what the blocks say."""
        found = {
            "block index": self.blocks == tuple(chain.blocks),
            "statistics": self.statistics == extend(DatasetStatistics(), chain.blocks),
            "inputs": self.inputs == inputs_of(chain.state),
        }
        return [name for name, same in found.items() if not same]


class Examination:
    """Reads a whole chain and judges the rows by it."""

    def __init__(self, *, database: Database, volumes: Volumes, outbox: Outbox) -> None:
        self._database = database
        self._volumes = volumes
        self._books = Bookkeeping(outbox)
        self._references = References()
        self._index = BlockIndex()
        self._statistics = StatisticsStore()
        self._lineage = Lineage()

    def examine(self, entry: DatasetEntry, *, dry_run: bool) -> Iterator[Finding]:
        """Repair rows from blocks; report what is damaged and what nobody needs."""
        files = DatasetFiles.of(self._volumes, entry)
        with self._database.reading() as tx:
            rows = self._rows(tx, entry.id)
        try:
            head = rows.head or files.head()
            if head is None:
                yield Finding(
                    FindingKind.DAMAGED, entry.id, "has no head, neither in SQL nor as a file", repaired=False
                )
                return
            chain = self._chain(entry, head)
            yield from self._repair(entry, rows, chain, dry_run=dry_run)
            yield from self._objects(entry, files, chain)
            yield from self._alias(entry, files, dry_run=dry_run)
        except KamuError as error:
            yield Finding(FindingKind.DAMAGED, entry.id, f"{error}{_REMEDY}", repaired=False)

    def _repair(self, entry: DatasetEntry, rows: _Rows, chain: StoredChain, *, dry_run: bool) -> Iterator[Finding]:
        if rows.head is None:
            done = not dry_run and self._restore_head(entry, chain)
            yield Finding(FindingKind.HEAD, entry.id, "SQL had no head: it is taken from refs/head", repaired=done)
        wrong = rows.differences(chain)
        if wrong:
            done = not dry_run and self._replace(entry, chain)
            message = f"{', '.join(wrong)} did not say what the blocks say: rebuilt from the store"
            yield Finding(FindingKind.ROWS, entry.id, message, repaired=done)

    def _alias(self, entry: DatasetEntry, files: DatasetFiles, *, dry_run: bool) -> Iterator[Finding]:
        said = said_instead(files, entry)
        if said is None:
            return
        if not dry_run:
            files.write_alias(entry.alias)
        message = f"info/alias said {said}: it says '{entry.alias}' again"
        yield Finding(FindingKind.ALIAS, entry.id, message, repaired=not dry_run)

    def _objects(self, entry: DatasetEntry, files: DatasetFiles, chain: StoredChain) -> Iterator[Finding]:
        for block in chain.blocks:
            try:
                files.check_objects(block)
            except KamuError as error:
                yield Finding(FindingKind.DAMAGED, entry.id, f"{error}{_REMEDY}", repaired=False)
        unreachable = files.unreachable(chain.blocks)
        if unreachable:
            size = sum(found.size for found in unreachable)
            message = (
                f"{len(unreachable)} files ({size} bytes) are named by no block of the chain: kept, until "
                f"`kamu-node gc {entry.alias}` removes what is no longer needed"
            )
            yield Finding(FindingKind.UNREACHABLE, entry.id, message, repaired=False)

    def _chain(self, entry: DatasetEntry, head: Multihash) -> StoredChain:
        blocks = self._volumes.blocks(entry.kind)
        return read_chain(head, lambda name: blocks.get(entry.id, name))

    def _restore_head(self, entry: DatasetEntry, chain: StoredChain) -> bool:
        with self._database.transaction() as tx:
            self._references.move_head(tx, entry.id, expected=None, to=chain.head)
        return True

    def _replace(self, entry: DatasetEntry, chain: StoredChain) -> bool:
        """Rebuild the rows, unless a commit has moved the head since we looked."""
        with self._database.transaction() as tx:
            if self._references.head(tx, entry.id) != chain.head:
                return False
            self._books.replace_rows(tx, entry.id, chain.blocks, chain.state)
        return True

    def _rows(self, tx: Transaction, dataset: DatasetID) -> _Rows:
        return _Rows(
            head=self._references.head(tx, dataset),
            blocks=tuple(self._index.all(tx, dataset)),
            statistics=self._statistics.get(tx, dataset),
            inputs=tuple(self._lineage.inputs(tx, dataset)),
        )
