"""What inputs have that their derivative has not read yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from kamu_assets.database.errors import DatabaseUnavailableError, TransactionConflictError
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import ChainReplacedError, InvalidBlockIntervalError
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import ExecuteTransformInput
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.errors import StorageUnavailableError

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

# What can be compared a moment later, or when it has come back. All else is damaged, and stays so.
_PASSING = (DatabaseUnavailableError, StorageUnavailableError, TransactionConflictError, ChainReplacedError)


@dataclass(frozen=True, slots=True)
class InputNews:
    """What is new in one input; `rewritten`: what was read of it before is not its past any more."""

    input: DatasetID
    head: Multihash | None
    records: int = 0
    watermark_moved: bool = False
    rewritten: bool = False

    @property
    def is_any(self) -> bool:
        """Whether there is something to compute."""
        return self.records > 0 or self.watermark_moved


class Backlog:
    """Compares chains, for whenever nobody was listening.

    Of damaged ones it knows nothing, as their flows and `verify` tell: others must not wait for them. Where a store
    is away, or an input is rewritten at that moment, it raises: whoever asks has to ask again.
    """

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._entries = DatasetStore()
        self._lineage = Lineage()

    def of(self, tx: Transaction, dataset: DatasetID) -> Sequence[InputNews]:
        """By input, of those that have something new or were rewritten, as far as this node has them."""
        return _as_far_as_known(dataset, lambda: self._of(tx, dataset), ())

    def has_read(self, tx: Transaction, dataset: DatasetID, input_: DatasetID) -> bool:
        """Whether the derivative was computed from anything of the input."""
        return _as_far_as_known(dataset, lambda: input_ in self._read(tx, dataset), False)

    def _of(self, tx: Transaction, dataset: DatasetID) -> Sequence[InputNews]:
        read = self._read(tx, dataset)
        there = [entry.id for entry in self._entries.get_many(tx, self._lineage.inputs(tx, dataset))]
        found = [self._news(tx, input_, read.get(input_)) for input_ in there]
        return [news for news in found if news.is_any or news.rewritten]

    def _read(self, tx: Transaction, dataset: DatasetID) -> dict[DatasetID, ExecuteTransformInput]:
        last = self._chains.state(dataset, tx=tx).last_transform
        parts = last.query_inputs if last else ()
        return {part.dataset_id: part for part in parts if part.last_block_hash is not None}

    def _news(self, tx: Transaction, input_: DatasetID, read: ExecuteTransformInput | None) -> InputNews:
        state = self._chains.state(input_, tx=tx)
        if read is None:
            return InputNews(input_, state.head, state.next_offset, watermark_moved=state.watermark is not None)
        try:
            return self._after(tx, input_, state, read)
        except InvalidBlockIntervalError:
            before = -1 if read.last_offset is None else read.last_offset
            records = max(0, state.next_offset - before - 1)
            return InputNews(input_, state.head, records, rewritten=True)

    def _after(self, tx: Transaction, input_: DatasetID, state: ChainState, read: ExecuteTransformInput) -> InputNews:
        if state.head is None or state.head == read.last_block_hash:
            return InputNews(input_, state.head)
        new = self._chains.interval(input_, after=read.last_block_hash, until=state.head, tx=tx)
        before = -1 if read.last_offset is None else read.last_offset
        return InputNews(input_, state.head, state.next_offset - before - 1, watermark_moved=bool(new.watermarks))


def _as_far_as_known(dataset: DatasetID, compare: Callable[[], _T], unknown: _T) -> _T:
    try:
        return compare()
    except _PASSING:
        raise
    except KamuError as error:
        log.warning("inputs_not_compared", dataset=str(dataset), reason=str(error))
        return unknown
