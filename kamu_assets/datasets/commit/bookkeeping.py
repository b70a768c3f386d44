"""All that SQL says about a chain changes together with its head: index, sums, lineage, announcement."""

from collections.abc import Sequence
from dataclasses import dataclass

from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.chains.recount import recount
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.statistics import StatisticsStore, extend
from kamu_assets.datasets.chains.stored import StoredChain
from kamu_assets.datasets.commit.sealing import Sealed
from kamu_assets.datasets.errors import CyclicDependencyError, MissingInputsError
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetUpdated
from kamu_assets.datasets.model import DatasetEntry, DatasetStatistics, IndexedBlock, Pushed
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetTransform
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash

LINEAGE_LOCK = "dataset-lineage"


@dataclass(frozen=True, slots=True)
class Change:
    """A commit about to happen."""

    entry: DatasetEntry
    sealed: Sealed
    run_id: str | None = None
    # What comes from elsewhere may name inputs that this node does not have.
    foreign: bool = False
    push: Pushed | None = None


class Bookkeeping:
    """Writes the rows; the caller owns the transaction."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._entries = DatasetStore()
        self._references = References()
        self._index = BlockIndex()
        self._statistics = StatisticsStore()
        self._lineage = Lineage()
        self._former = FormerHeads()

    def move_head(self, tx: Transaction, change: Change) -> None:
        """Register the dataset if it is new, then move its head: HeadMovedError, NameCollisionError."""
        sealed = change.sealed
        if sealed.before.head is None:
            self._entries.add(tx, change.entry)
        new_head = sealed.blocks[-1].name
        self._references.move_head(tx, change.entry.id, expected=sealed.before.head, to=new_head)

    def write_rows(self, tx: Transaction, change: Change) -> None:
        """What follows from the new blocks."""
        sealed, dataset = change.sealed, change.entry.id
        new = [block.indexed for block in sealed.blocks]
        self._index.add(tx, dataset, new)
        self._statistics.add(tx, dataset, new)
        if any(isinstance(block.block.event, SetTransform) for block in sealed.blocks):
            self._set_inputs(tx, dataset, inputs_of(sealed.after), foreign=change.foreign)
        self._outbox.post(tx, _announcement(change))

    def register(self, tx: Transaction, entry: DatasetEntry, chain: StoredChain) -> None:
        """Make a dataset known whose files are in place; RefCollisionError, NameCollisionError."""
        self._entries.add(tx, entry)
        self._references.move_head(tx, entry.id, expected=None, to=chain.head)
        self.replace_rows(tx, entry.id, chain.blocks, chain.state)
        self._outbox.post(tx, created(entry, chain.state, records=sum(_records(block) for block in chain.blocks)))

    def replace_head(self, tx: Transaction, dataset: DatasetID, *, expected: Multihash, to: Multihash) -> None:
        """Move the head to where no chain leads on from it: HeadMovedError."""
        self._references.move_head(tx, dataset, expected=expected, to=to)

    def replace_rows(
        self, tx: Transaction, dataset: DatasetID, blocks: Sequence[IndexedBlock], state: ChainState
    ) -> None:
        """Write the rows of a whole chain anew."""
        self._index.remove(tx, dataset)
        self._index.add(tx, dataset, blocks)
        self._statistics.save(tx, dataset, extend(DatasetStatistics(), blocks))
        self._set_inputs(tx, dataset, inputs_of(state), foreign=True)

    def cut_rows(self, tx: Transaction, dataset: DatasetID, state: ChainState) -> None:
        """Let the rows say what they said when the chain ended as `state` does."""
        self._index.cut(tx, dataset, after=state.sequence_number)
        self._statistics.save(tx, dataset, recount(tx, dataset))
        if inputs_of(state) != tuple(self._lineage.inputs(tx, dataset)):
            self._set_inputs(tx, dataset, inputs_of(state), foreign=True)

    def forget(self, tx: Transaction, dataset: DatasetID) -> None:
        """Remove every row of a dataset, remembering that its files have to go."""
        self._references.remove(tx, dataset)
        self._index.remove(tx, dataset)
        self._statistics.remove(tx, dataset)
        self._lineage.set_inputs(tx, dataset, ())
        self._former.remove(tx, dataset)
        self._entries.remove(tx, dataset)

    def _set_inputs(self, tx: Transaction, dataset: DatasetID, inputs: Sequence[DatasetID], *, foreign: bool) -> None:
        # Until the end nobody else closes a loop or deletes an input.
        tx.lock(LINEAGE_LOCK)
        known = {entry.id for entry in self._entries.get_many(tx, inputs)}
        missing = [str(input_) for input_ in inputs if input_ not in known]
        if missing and not foreign:
            raise MissingInputsError(missing)
        loop = self._lineage.find_loop(tx, dataset, inputs)
        if loop is not None:
            raise CyclicDependencyError(self._names(tx, loop))
        self._lineage.set_inputs(tx, dataset, inputs)

    def _names(self, tx: Transaction, ids: Sequence[DatasetID]) -> list[str]:
        names = {entry.id: str(entry.alias) for entry in self._entries.get_many(tx, set(ids))}
        return [names.get(id_, str(id_)) for id_ in ids]


def inputs_of(state: ChainState) -> tuple[DatasetID, ...]:
    """The inputs of the latest transform."""
    if state.transform is None:
        return ()
    refs = [parse_dataset_ref(item.dataset_ref) for item in state.transform.inputs]
    return tuple(ref for ref in refs if isinstance(ref, DatasetID))


def created(entry: DatasetEntry, state: ChainState, *, records: int) -> DatasetCreated:
    """The announcement of a dataset that is new to this node."""
    if state.head is None or state.system_time is None:
        raise ValueError("a dataset has a Seed")
    return DatasetCreated(
        dataset_id=entry.id,
        alias=entry.alias,
        kind=entry.kind,
        owner_id=entry.owner,
        head=state.head,
        inputs=inputs_of(state),
        records=records,
        watermark=state.watermark,
        system_time=state.system_time,
    )


def _announcement(change: Change) -> DatasetCreated | DatasetUpdated:
    old_head = change.sealed.before.head
    if old_head is None:
        return created(change.entry, change.sealed.after, records=change.sealed.records)
    return _updated(change, old_head)


def _updated(change: Change, old_head: Multihash) -> DatasetUpdated:
    entry, sealed = change.entry, change.sealed
    last = sealed.blocks[-1].indexed
    return DatasetUpdated(
        dataset_id=entry.id,
        alias=entry.alias,
        kind=entry.kind,
        old_head=old_head,
        new_head=last.block_hash,
        blocks=len(sealed.blocks),
        new_records=sealed.records,
        event_kinds=tuple(block.block.event.kind for block in sealed.blocks),
        watermark=sealed.after.watermark,
        system_time=last.system_time,
        run_id=change.run_id,
        old_watermark=sealed.before.watermark,
        push=change.push,
    )


def _records(block: IndexedBlock) -> int:
    return block.data.records if block.data else 0
