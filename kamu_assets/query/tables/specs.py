"""What a worker is told of a dataset to read it."""

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.query.questions import TableSpec
from kamu_assets.query.tables.pack_plan import SliceFile
from kamu_assets.query.tables.primary_key import primary_keys
from kamu_assets.query.tables.slice_lists import SliceLists
from kamu_assets.storage.layout import sidecar_folder
from kamu_assets.storage.volumes import Volumes

_PACKS = "packs"


class TableSpecs:
    """Describes datasets as of states of their chains."""

    def __init__(self, *, datasets: Datasets, chains: Chains, volumes: Volumes) -> None:
        self._lists = SliceLists(datasets=datasets, chains=chains)
        self._volumes = volumes

    def whole(self, entry: DatasetEntry, state: ChainState) -> TableSpec:
        """All of it."""
        return self._of(entry, state, self._slices(entry, state))

    def columns(self, entry: DatasetEntry, state: ChainState) -> TableSpec:
        """Without its slices."""
        return self._of(entry, state, ())

    def part(self, entry: DatasetEntry, state: ChainState, *, first: int, last: int) -> TableSpec:
        """Only the slices that hold offsets from `first` to `last`."""
        end, found = state.next_offset, []
        for each in reversed(self._slices(entry, state)):
            start = end - each.records
            if end <= first:
                break
            if start <= last:
                found.append(each)
            end = start
        return self._of(entry, state, tuple(reversed(found)))

    def _slices(self, entry: DatasetEntry, state: ChainState) -> tuple[SliceFile, ...]:
        return () if state.head is None else self._lists.get(entry, state.head)

    def _of(self, entry: DatasetEntry, state: ChainState, slices: tuple[SliceFile, ...]) -> TableSpec:
        return TableSpec(
            schema=state.schema,
            vocab=state.vocab,
            slices=slices,
            primary_keys=primary_keys(state),
            packs=sidecar_folder(self._volumes.for_kind(entry.kind), entry.id) / _PACKS,
        )
