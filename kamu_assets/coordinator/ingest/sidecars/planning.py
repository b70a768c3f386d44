"""Decides what an ingest must read of history: the slices after a head that a sidecar belongs to, or all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back
from kamu_assets.coordinator.ingest.sidecars.use import SidecarUse, known_heads, manifest_path, shelf_name
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.intervals import SliceRef
from kamu_assets.datasets.errors import InvalidBlockIntervalError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import MergeStrategy
from kamu_assets.storage.layout import data_key, sidecar_folder
from kamu_assets.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """Slices to read, and the sidecar that makes up for those before."""

    slices: tuple[str, ...] = ()
    use: SidecarUse | None = None


class HistoryPlanner:
    """Plans for one dataset after another."""

    def __init__(self, *, chains: Chains, volumes: Volumes) -> None:
        self._chains = chains
        self._volumes = volumes

    def plans(self, entry: DatasetEntry, chain: ChainState, merge: MergeStrategy) -> Iterator[HistoryPlan]:
        """The cheapest plan first; each that follows trusts less and can be taken when the one before it failed."""
        contents = looks_back(merge)
        if contents is None or chain.head is None or chain.last_offset is None:
            yield HistoryPlan()
            return
        folder = sidecar_folder(self._volumes.for_kind(entry.kind), entry.id)
        use = SidecarUse(folder, chain.head, chain.next_offset)
        shelf = folder / shelf_name(contents, key_columns(merge))
        newest = self._newest(entry, chain.head, shelf)
        if newest is not None:
            base, after = newest
            start = after[0].offset_interval.start if after else chain.next_offset
            yield HistoryPlan(self._locations(entry, after), replace(use, base=base, base_offset=start))
            # It was of no use: nobody shall try again.
            manifest_path(shelf, base).unlink(missing_ok=True)
        everything = self._locations(entry, self._chains.slices(entry.id, after=None, until=chain.head))
        yield HistoryPlan(everything, use)
        yield HistoryPlan(everything)

    def _newest(
        self, entry: DatasetEntry, head: Multihash, shelf: Path
    ) -> tuple[Multihash, tuple[SliceRef, ...]] | None:
        """The sidecar after whose head the fewest slices came. Heads that are no part of the chain do not count."""
        found = []
        for base in known_heads(shelf):
            try:
                found.append((base, self._chains.slices(entry.id, after=base, until=head)))
            except InvalidBlockIntervalError:
                continue
        return min(found, key=lambda known: len(known[1]), default=None)

    def _locations(self, entry: DatasetEntry, slices: Sequence[SliceRef]) -> tuple[str, ...]:
        store = self._volumes.for_kind(entry.kind)
        return tuple(store.location(data_key(entry.id, found.physical_hash)) for found in slices)
