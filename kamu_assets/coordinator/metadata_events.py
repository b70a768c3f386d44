"""Metadata events that people commit: descriptions, sources, queries, schemas (ODF: MetadataEvent)."""

from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import Updated
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.errors import DatasetNotFoundError, HeadMovedError, MissingInputsError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.governance.access import Action
from kamu_assets.odf.chain_errors import InvalidEventError
from kamu_assets.odf.dataset import DatasetKind, MetadataEvent, SetTransform
from kamu_assets.odf.identity import DatasetRef, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash

_ATTEMPTS: Final = 5


class MetadataEvents:
    """Appends single events. What may follow what is decided by the rules of chains, as for every other block."""

    def __init__(self, *, datasets: Datasets, chains: Chains, committer: Committer, clock: Clock) -> None:
        self._datasets = datasets
        self._chains = chains
        self._committer = committer
        self._clock = clock

    def commit(
        self, caller: Caller, dataset: DatasetRef, event: MetadataEvent, *, expected_head: Multihash | None
    ) -> Updated:
        """Append the event; with `expected_head` only if nobody else was first (HeadMovedError)."""
        entry = self._datasets.resolve(caller, dataset, action=Action.WRITE)
        if isinstance(event, SetTransform):
            _require_derivative(entry)
            self._require_inputs(caller, event)
            self._datasets.check_transform(event.transform)
        if expected_head is not None:
            return self._append(entry, event, expected_head)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._append(entry, event, self._chains.head(entry.id))
            except HeadMovedError:
                continue
        return self._append(entry, event, self._chains.head(entry.id))

    def _append(self, entry: DatasetEntry, event: MetadataEvent, head: Multihash) -> Updated:
        now = next_system_time(self._clock, self._chains.state(entry.id))
        return Updated.of(self._committer.commit(entry.id, expected_head=head, events=[event], system_time=now))

    def _require_inputs(self, caller: Caller, event: SetTransform) -> None:
        """Nobody derives from what they may not read; such inputs do not exist for them."""
        missing = [item.dataset_ref for item in event.inputs if not self._may_read(caller, item.dataset_ref)]
        if missing:
            raise MissingInputsError(missing)

    def _may_read(self, caller: Caller, ref: str) -> bool:
        try:
            self._datasets.resolve(caller, parse_dataset_ref(ref))
        except DatasetNotFoundError:
            return False
        return True


def _require_derivative(entry: DatasetEntry) -> None:
    if entry.kind is not DatasetKind.DERIVATIVE:
        raise InvalidEventError("SetTransform is only allowed on derivative datasets")
