"""Where a dataset's chain ends: `refs/head` among its files, and what the registry says."""

import time
from dataclasses import dataclass

from kamu_assets.coordinator.verify.model import Fault, Place, VerdictKind
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.volumes import Volumes

# A commit moves the head in the registry first and in the file right after.
_LOOKS = 20
_SECONDS_BETWEEN = 0.05


@dataclass(frozen=True, slots=True)
class Heads:
    """Reads both heads."""

    database: Database
    volumes: Volumes

    def compare(self, entry: DatasetEntry) -> tuple[Multihash | None, tuple[Fault, ...]]:
        """The head to start from, which is what readers see, and what is wrong with it."""
        said, stored = self._look(entry)
        for _ in range(_LOOKS - 1):
            if said == stored:
                break
            time.sleep(_SECONDS_BETWEEN)
            said, stored = self._look(entry)
        if said is not None and said == stored:
            return said, ()
        message = f"says {stored or 'nothing'}, the registry {said or 'nothing'}: run `kamu-node doctor`"
        place = Place(file="refs/head")
        return said or _hash_of(stored), (
            Fault(VerdictKind.HEAD_MISMATCH, place, message, expected=str(said), found=str(stored)),
        )

    def _look(self, entry: DatasetEntry) -> tuple[Multihash | None, Multihash | str | None]:
        with self.database.reading() as tx:
            said = References().head(tx, entry.id)
        try:
            return said, DatasetFiles.of(self.volumes, entry).head()
        except DamagedDatasetError as error:
            return said, error.reason


def _hash_of(stored: Multihash | str | None) -> Multihash | None:
    return stored if isinstance(stored, Multihash) else None
