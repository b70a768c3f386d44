"""Reset to metadata: all rows go, every other event stays; what was derived can then be computed anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.chain_making import ChainMaking, Remake
from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult
from kamu_assets.datasets.chains.block_rows import DATA_KINDS
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import DatasetEntry, RewriteKind
from kamu_assets.datasets.service import Datasets
from kamu_assets.governance.access import Action
from kamu_assets.odf.dataset import AddData, ExecuteTransform, MetadataEvent
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.serde.flatbuffers import EventKind

_ATTEMPTS: Final = 5
_KEPT: Final = frozenset(EventKind) - frozenset(DATA_KINDS) - {EventKind.SEED}


@dataclass(frozen=True, slots=True)
class MetadataOnly:
    """The use case, for roots and derivatives alike."""

    datasets: Datasets
    chains: Chains
    making: ChainMaking

    def reset(self, caller: Caller, dataset: DatasetRef, *, run_id: str | None = None) -> ReorganizationResult:
        """Drop all data, also what is committed meanwhile; HeadMovedError when others rewrite it all the time."""
        entry = self.datasets.resolve(caller, dataset, action=Action.MAINTAIN)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(entry, run_id)
            except HeadMovedError:
                continue
        return self._attempt(entry, run_id)

    def _attempt(self, entry: DatasetEntry, run_id: str | None) -> ReorganizationResult:
        chain = self.chains.state(entry.id)
        if next(self.chains.blocks(entry.id, kinds=DATA_KINDS), None) is None:
            return NothingToDo()
        events = self._events(entry, until=chain.sequence_number)
        return self.making.replace(
            Remake(entry, RewriteKind.METADATA_ONLY, chain, events, keeps=_is_kept, run_id=run_id)
        )

    def _events(self, entry: DatasetEntry, *, until: int) -> Iterator[MetadataEvent]:
        for found in self.chains.blocks(entry.id, newest_first=False, kinds=_KEPT):
            if found.block.sequence_number > until:
                return
            yield found.block.event


def _is_kept(event: MetadataEvent) -> bool:
    return not isinstance(event, AddData | ExecuteTransform)
