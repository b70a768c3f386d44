"""Chains as they were: what a chain said when an earlier block was its newest."""

from collections.abc import Sequence
from typing import Final, assert_never

from sqlalchemy import ColumnElement, func, or_, select, union_all

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex, blocks
from kamu_assets.datasets.chains.block_rows import DATA_KINDS, from_row
from kamu_assets.datasets.chains.point import Point
from kamu_assets.datasets.chains.recent_states import RecentStates
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind, decode_block
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.volumes import Volumes

_number = blocks.c.sequence_number
_NEWEST: Final = func.max(_number)
_SOURCES: Final = blocks.c.event_kind.in_((int(EventKind.ADD_PUSH_SOURCE), int(EventKind.DISABLE_PUSH_SOURCE)))
_HAS_SOURCE_STATE: Final = (blocks.c.event_kind == int(EventKind.ADD_DATA)) & blocks.c.subject.is_not(None)
_DATA: Final = or_(*(blocks.c.event_kind == int(kind) for kind in DATA_KINDS))


class PastStates:
    """The past of the chain of `head` of every dataset."""

    def __init__(self, *, database: Database, volumes: Volumes, cached_states: int = 256) -> None:
        self._database = database
        self._volumes = volumes
        self._entries = DatasetStore()
        self._index = BlockIndex()
        self._states = RecentStates(cached_states)

    def state(self, dataset: DatasetID, block: Multihash) -> ChainState | None:
        """All that the chain said up to this block; None if it never had it."""
        with self._database.reading() as tx:
            # Also for states that are known: a chain may have been reset to before this block.
            until = self._index.sequence_of(tx, dataset, block)
            if until is None:
                return None
            cached = self._states.get(dataset, block)
            if cached is not None:
                return cached
            kind = self._entries.get(tx, dataset).kind
            decisive = _decisive(tx, dataset, until)
        store = self._volumes.blocks(kind)
        state = ChainState.empty()
        for indexed in decisive:
            state = state.extend(indexed.block_hash, decode_block(store.get(dataset, indexed.block_hash)))
        self._states.put(dataset, state)
        return state

    def newest(self, dataset: DatasetID, point: Point, *, until: Multihash) -> Multihash | None:
        """The block that was the newest one at a point of the chain that ends with `until`; None if there was none.

        At an offset that is the block which added it; where the chain does not reach, its last block.
        """
        with self._database.reading() as tx:
            last = self._index.sequence_of(tx, dataset, until)
            found = None if last is None else self._number_at(tx, dataset, point, last)
            return None if found is None else _block(tx, dataset, found).block_hash

    def _number_at(self, tx: Transaction, dataset: DatasetID, point: Point, last: int) -> int | None:
        match point:
            case Multihash():
                found = self._index.sequence_of(tx, dataset, point)
                return found if found is not None and found <= last else None
            case int():
                reached = select(func.min(_number)).where(_up_to(dataset, last), _DATA, blocks.c.last_offset >= point)
                (row,) = tx.execute(reached)
                return last if row[0] is None else int(row[0])
            case Timestamp():
                return _number_of_time(tx, dataset, point, last)
            case _:
                assert_never(point)


def _number_of_time(tx: Transaction, dataset: DatasetID, moment: Timestamp, last: int) -> int | None:
    """The last block that is not after the moment: system times never go back along a chain."""
    low, high = -1, last
    while low < high:
        middle = (low + high + 1) // 2
        if _block(tx, dataset, middle).system_time <= moment:
            low = middle
        else:
            high = middle - 1
    return None if low < 0 else low


def _decisive(tx: Transaction, dataset: DatasetID, until: int) -> Sequence[IndexedBlock]:
    """The blocks whose events a state is made of, oldest first; found without a walk along the chain."""
    known = _up_to(dataset, until)
    each = [select(_NEWEST).where(known, blocks.c.event_kind == int(kind)) for kind in EventKind]
    # A state of a source outlives data that came without one; sources are told apart by name.
    remembered = select(_NEWEST).where(known, _HAS_SOURCE_STATE)
    sources = select(_NEWEST).where(known, _SOURCES).group_by(blocks.c.event_kind, blocks.c.subject)
    wanted = union_all(*each, remembered, sources)
    query = select(blocks).where(blocks.c.dataset_id == dataset, _number.in_(wanted)).order_by(_number)
    return [from_row(row) for row in tx.execute(query)]


def _block(tx: Transaction, dataset: DatasetID, number: int) -> IndexedBlock:
    query = select(blocks).where(blocks.c.dataset_id == dataset, _number == number)
    return from_row(tx.execute(query).one())


def _up_to(dataset: DatasetID, until: int) -> ColumnElement[bool]:
    return (blocks.c.dataset_id == dataset) & (_number <= until)
