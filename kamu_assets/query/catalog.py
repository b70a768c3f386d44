"""The node's side of name resolution: answers the questions of one query, with the permissions of its caller."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.chains.point import Point
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.errors import InvalidError, KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.errors import AmbiguousPinError, BlockNotFoundError, NotYetThereError
from kamu_assets.query.model import DatasetPin, PinnedDataset
from kamu_assets.query.questions import (
    Answer,
    DescribeTable,
    FindTable,
    ListTables,
    Question,
    TableFound,
    TableSpec,
)
from kamu_assets.query.tables.specs import TableSpecs


class QueryCatalog:
    """Remembers what it resolved: a dataset named twice is seen at one block, and that block is told in the answer."""

    def __init__(
        self,
        caller: Caller,
        *,
        datasets: Datasets,
        chains: Chains,
        past: PastStates,
        tables: TableSpecs,
        pins: Sequence[DatasetPin] = (),
    ) -> None:
        self._caller = caller
        self._datasets = datasets
        self._chains = chains
        self._past = past
        self._tables = tables
        self._pins = _by_alias(pins)
        self._heads: dict[DatasetID, ChainState] = {}
        self._seen: dict[tuple[DatasetID, Multihash], tuple[DatasetEntry, ChainState]] = {}
        self._names: dict[tuple[str, Multihash], PinnedDataset] = {}
        self._asked: dict[FindTable, None] = {}

    @property
    def asked(self) -> tuple[FindTable, ...]:
        """The datasets that were asked for to be read, and found."""
        return tuple(self._asked)

    def in_advance(self, questions: Iterable[FindTable]) -> Iterator[tuple[FindTable, TableFound]]:
        """Answers to what is likely to be asked; where there is none, it will be told to who asks."""
        for question in questions:
            with contextlib.suppress(KamuError):
                found = self._find(question)
                if found is not None:
                    yield question, found

    @property
    def pinned(self) -> tuple[PinnedDataset, ...]:
        return tuple(self._names.values())

    @property
    def read(self) -> tuple[tuple[DatasetEntry, Multihash], ...]:
        """The datasets that were looked at, and as of which blocks."""
        return tuple((entry, head) for (_, head), (entry, _) in self._seen.items())

    def answer(self, question: Question) -> Answer:
        match question:
            case FindTable():
                return self._find(question)
            case DescribeTable():
                return self._describe(question)
            case ListTables():
                return tuple(str(entry.alias) for entry in self._datasets.list(self._caller))
            case _:
                assert_never(question)

    def _find(self, question: FindTable) -> TableFound | None:
        name, pins = question.name, self._pins.get(question.name, ())
        try:
            entry = self._datasets.resolve(self._caller, pins[0].id if pins else parse_dataset_ref(name))
        except (InvalidError, DatasetNotFoundError):
            return None
        state = self._pinned_state(entry, pins) if pins else self._head(entry)
        if question.point is not None and state.head is not None:
            state = self._as_of(entry, question.point, state.head)
        if state.head is None:
            return None
        self._seen[entry.id, state.head] = entry, state
        if question.is_read:
            self._names[name, state.head] = PinnedDataset(id=entry.id, alias=name, block_hash=state.head)
            self._asked[question] = None
        return TableFound(entry.id, state.head, self._datasets.storage_location(entry))

    def _head(self, entry: DatasetEntry) -> ChainState:
        if entry.id not in self._heads:
            self._heads[entry.id] = self._chains.state(entry.id)
        return self._heads[entry.id]

    def _pinned_state(self, entry: DatasetEntry, pins: Sequence[DatasetPin]) -> ChainState:
        states = [self._block(entry, pin.block_hash) if pin.block_hash else self._head(entry) for pin in pins]
        return max(states, key=lambda state: state.sequence_number)

    def _as_of(self, entry: DatasetEntry, point: Point, until: Multihash) -> ChainState:
        block = self._past.newest(entry.id, point, until=until)
        if block is not None:
            return self._block(entry, block)
        if isinstance(point, Multihash):
            raise BlockNotFoundError(entry, point)
        raise NotYetThereError(entry, point)

    def _block(self, entry: DatasetEntry, block: Multihash) -> ChainState:
        state = self._past.state(entry.id, block)
        if state is None:
            raise BlockNotFoundError(entry, block)
        return state

    def _describe(self, question: DescribeTable) -> TableSpec:
        entry, state = self._seen[question.found.id, question.found.head]
        return self._tables.columns(entry, state) if question.only_columns else self._tables.whole(entry, state)


def _by_alias(pins: Sequence[DatasetPin]) -> Mapping[str, Sequence[DatasetPin]]:
    found: dict[str, list[DatasetPin]] = {}
    for pin in pins:
        found.setdefault(pin.alias, []).append(pin)
        if pin.id != found[pin.alias][0].id:
            raise AmbiguousPinError(pin.alias)
    return found
