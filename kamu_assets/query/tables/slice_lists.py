"""The slices of datasets that were lately read: lists of thousands, extended when heads move."""

from collections import OrderedDict
from threading import Lock
from typing import Final

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import InvalidBlockIntervalError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.tables.pack_plan import SliceFile

_REMEMBERED: Final = 64


class SliceLists:
    """Slices of chains up to a block; safe for many threads."""

    def __init__(self, *, datasets: Datasets, chains: Chains) -> None:
        self._datasets = datasets
        self._chains = chains
        self._lists: OrderedDict[DatasetID, tuple[Multihash, tuple[SliceFile, ...]]] = OrderedDict()
        self._lock = Lock()

    def get(self, entry: DatasetEntry, head: Multihash) -> tuple[SliceFile, ...]:
        """All slices up to this block, oldest first."""
        with self._lock:
            known = self._lists.get(entry.id)
        if known is not None and known[0] == head:
            return known[1]
        files = self._extended(entry, head, known) if known else self._between(entry, None, head)
        with self._lock:
            self._lists[entry.id] = head, files
            self._lists.move_to_end(entry.id)
            if len(self._lists) > _REMEMBERED:
                self._lists.popitem(last=False)
        return files

    def _extended(
        self, entry: DatasetEntry, head: Multihash, known: tuple[Multihash, tuple[SliceFile, ...]]
    ) -> tuple[SliceFile, ...]:
        after, files = known
        try:
            return files + self._between(entry, after, head)
        except InvalidBlockIntervalError:
            # Another history, or an earlier block.
            return self._between(entry, None, head)

    def _between(self, entry: DatasetEntry, after: Multihash | None, until: Multihash) -> tuple[SliceFile, ...]:
        return tuple(
            SliceFile(
                self._datasets.slice_location(entry, piece.physical_hash),
                piece.data_slice.size,
                piece.offset_interval.end - piece.offset_interval.start + 1,
            )
            for piece in self._chains.slices(entry.id, after=after, until=until)
        )
