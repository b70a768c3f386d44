"""What heads of a dataset lead to: the one it has, and those that were replaced a short while ago."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.block_rows import index_block
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import DatasetEntry, IndexedBlock
from kamu_assets.errors import KamuError
from kamu_assets.odf.dataset import SetDataSchema
from kamu_assets.odf.links import object_links
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind, decode_block, decode_header
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Reach:
    """Keys of blocks, slices and checkpoints."""

    head: Multihash
    current: frozenset[str]
    # Behind replaced heads only.
    former: frozenset[str]
    # Where rows link objects, nobody knows whose the files among the data are, those excepted that some block names.
    expendable: frozenset[str] | None
    # Replaced heads that nothing is kept for any more.
    expired: tuple[Multihash, ...]

    def has(self, key: str) -> bool:
        """Whether a head leads to the file."""
        return key in self.current or key in self.former

    def may_lose(self, key: str) -> bool:
        """Whether it is known for certain to be a part of nothing else."""
        return self.expendable is None or "/data/" not in key or key in self.expendable

    def renewed(self, database: Database, volumes: Volumes, entry: DatasetEntry) -> Self:
        """The same for the head of now."""
        with database.reading() as tx:
            head = References().head(tx, entry.id)
            if head == self.head:
                return self
            blocks = BlockIndex().all(tx, entry.id)
        if head is None:
            raise DatasetNotFoundError(entry.id)
        current = frozenset(DatasetFiles.of(volumes, entry).named(blocks))
        # What was the chain a moment ago may be behind a replaced head by now.
        return replace(self, head=head, current=current, former=(self.former | self.current) - current)


def reach_of(database: Database, volumes: Volumes, entry: DatasetEntry, *, replaced_after: Timestamp) -> Reach:
    """Look at the chain by its index, and at those replaced after a moment by their blocks."""
    with database.reading() as tx:
        head = References().head(tx, entry.id)
        blocks = BlockIndex().all(tx, entry.id)
        former = FormerHeads().all(tx, entry.id)
    if head is None:
        raise DatasetNotFoundError(entry.id)
    files, walk = DatasetFiles.of(volumes, entry), _Walk(volumes, entry)
    known = {block.block_hash for block in blocks}
    recent = [each.block_hash for each in former if each.replaced_at > replaced_after]
    replaced = [block for each in recent for block in walk.back_from(each, known)]
    current = frozenset(files.named(blocks))
    return Reach(
        head=head,
        current=current,
        former=frozenset(files.named(replaced)) - current,
        expendable=_expendable(walk, files, blocks),
        expired=tuple(each.block_hash for each in former if each.block_hash not in recent),
    )


def _expendable(walk: "_Walk", files: DatasetFiles, blocks: Sequence[IndexedBlock]) -> frozenset[str] | None:
    schemas = [block.block_hash for block in blocks if block.event_kind is EventKind.SET_DATA_SCHEMA]
    if not walk.links_objects and not any(walk.has_links(block) for block in schemas):
        return None
    return frozenset(files.named(walk.others({block.block_hash for block in blocks})))


class _Walk:
    """Reads blocks that the index does not have (any more)."""

    def __init__(self, volumes: Volumes, entry: DatasetEntry) -> None:
        self._blocks = volumes.blocks(entry.kind)
        self._entry = entry
        self.seen: set[Multihash] = set()
        self.links_objects = False

    def back_from(self, head: Multihash, known: set[Multihash]) -> Iterator[IndexedBlock]:
        """The blocks from a replaced head to those that are known, as far as they are there."""
        name: Multihash | None = head
        while name is not None and name not in known and name not in self.seen:
            found = self._read(name)
            if found is None:
                return
            self.seen.add(name)
            block, name = found
            yield block

    def has_links(self, block: Multihash) -> bool:
        """Whether a schema has columns that name objects."""
        event = decode_block(self._blocks.get(self._entry.id, block)).event
        return isinstance(event, SetDataSchema) and bool(object_links(event.schema_))

    def others(self, known: set[Multihash]) -> Iterator[IndexedBlock]:
        """All other blocks that are stored, and that no replaced head leads to."""
        for name in self._blocks.list(self._entry.id):
            if name not in known and name not in self.seen and (found := self._read(name)) is not None:
                yield found[0]

    def _read(self, name: Multihash) -> tuple[IndexedBlock, Multihash | None] | None:
        try:
            raw = self._blocks.get(self._entry.id, name)
            block, kind = decode_block(raw), decode_header(raw).event_kind
        except KamuError:
            return None
        if isinstance(block.event, SetDataSchema) and object_links(block.event.schema_):
            self.links_objects = True
        indexed = index_block(name, block, kind=kind, size=len(raw), previous_watermark=None)
        return indexed, block.prev_block_hash
