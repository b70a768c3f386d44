"""The node's side of name resolution: answers the questions of one query, with the permissions of its caller."""

from typing import assert_never

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.chains import Chains
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.query.model import PinnedDataset
from kamu_assets.query.questions import (
    Answer,
    DescribeTable,
    FindTable,
    ListTables,
    Question,
    TableFound,
    TableSpec,
)


class QueryCatalog:
    """Remembers what it resolved: a dataset named twice is seen at one block, and that block is told in the answer."""

    def __init__(self, caller: Caller, *, datasets: Datasets, chains: Chains) -> None:
        self._caller = caller
        self._datasets = datasets
        self._chains = chains
        self._pinned: dict[DatasetID, tuple[DatasetEntry, ChainState]] = {}
        self._names: dict[str, PinnedDataset] = {}

    @property
    def pinned(self) -> tuple[PinnedDataset, ...]:
        return tuple(self._names.values())

    @property
    def read(self) -> tuple[DatasetEntry, ...]:
        """The datasets that were looked at."""
        return tuple(entry for entry, _ in self._pinned.values())

    def answer(self, question: Question) -> Answer:
        match question:
            case FindTable(name, is_read):
                return self._find(name, is_read=is_read)
            case DescribeTable(found):
                return self._describe(found)
            case ListTables():
                return tuple(str(entry.alias) for entry in self._datasets.list(self._caller))
            case _:
                assert_never(question)

    def _find(self, name: str, *, is_read: bool) -> TableFound | None:
        try:
            entry = self._datasets.resolve(self._caller, parse_dataset_ref(name))
        except (InvalidError, DatasetNotFoundError):
            return None
        state = self._pin(entry)
        if state.head is None:
            return None
        if is_read:
            self._names[name] = PinnedDataset(id=entry.id, alias=name, block_hash=state.head)
        return TableFound(entry.id, state.head, self._datasets.storage_location(entry))

    def _pin(self, entry: DatasetEntry) -> ChainState:
        if entry.id not in self._pinned:
            self._pinned[entry.id] = entry, self._chains.state(entry.id)
        return self._pinned[entry.id][1]

    def _describe(self, found: TableFound) -> TableSpec:
        entry, state = self._pinned[found.id]
        return table_spec(entry, state, datasets=self._datasets, chains=self._chains)


def table_spec(
    entry: DatasetEntry,
    state: ChainState,
    *,
    datasets: Datasets,
    chains: Chains,
    offsets: tuple[int, int] | None = None,
) -> TableSpec:
    """The data of a dataset as of a chain state; with `offsets` only the slices that hold some of them."""
    slices = chains.slices(entry.id, after=None, until=state.head) if state.head is not None else ()
    first, last = offsets or (0, state.next_offset)
    return TableSpec(
        schema=state.schema,
        offset_column=state.vocab.offset_column,
        locations=tuple(
            datasets.slice_location(entry, piece.physical_hash)
            for piece in slices
            if piece.offset_interval.start <= last and piece.offset_interval.end >= first
        ),
    )
