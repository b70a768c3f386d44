"""What a dataset's folder says beside its chain: its name, and references other than the head."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from kamu_assets.coordinator.verify.model import Fault, Place, VerdictKind
from kamu_assets.database.database import Database
from kamu_assets.datasets.alias_file import said_instead
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles, parse_hash
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.storage.errors import ObjectNotFoundError
from kamu_assets.storage.layout import HEAD, dataset_folder, reference_key
from kamu_assets.storage.volumes import Volumes

# Renaming changes the registry first and the file right after.
_LOOKS = 20
_SECONDS_BETWEEN = 0.05
_MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """Compares `info/alias` with the registry, and `refs/*` with the blocks that are there (ODF: Dataset Layout)."""

    database: Database
    volumes: Volumes

    def faults(self, entry: DatasetEntry) -> Iterator[Fault]:
        """What does not fit."""
        yield from self._alias(entry)
        folder = f"{dataset_folder(entry.id)}/refs/"
        for found in self.volumes.for_kind(entry.kind).list(folder):
            name = found.key.removeprefix(folder)
            if name != HEAD:
                yield from self._reference(entry, name, size=found.size)

    def _alias(self, entry: DatasetEntry) -> Iterator[Fault]:
        files = DatasetFiles.of(self.volumes, entry)
        said = said_instead(files, entry)
        for _ in range(_LOOKS - 1):
            if said is None:
                return
            time.sleep(_SECONDS_BETWEEN)
            with self.database.reading() as tx:
                entry = DatasetStore().find(tx, entry.id) or entry
            said = said_instead(files, entry)
        if said is not None:
            message = f"says {said}, the registry '{entry.alias}': run `kamu-node doctor`"
            place = Place(file="info/alias")
            yield Fault(VerdictKind.ALIAS_MISMATCH, place, message, expected=str(entry.alias), found=said)

    def _reference(self, entry: DatasetEntry, name: str, *, size: int) -> Iterator[Fault]:
        place = Place(file=f"refs/{name}")
        if size > _MAX_TEXT:
            yield Fault(VerdictKind.REFERENCE_BROKEN, place, f"has {size} bytes, which is no hash")
            return
        try:
            text = self.volumes.for_kind(entry.kind).get(reference_key(entry.id, name)).decode(errors="replace")
            block = parse_hash(text, place.file or "")
        except ObjectNotFoundError:
            return
        except DamagedDatasetError as error:
            yield Fault(VerdictKind.REFERENCE_BROKEN, place, error.reason)
            return
        if not self.volumes.blocks(entry.kind).exists(entry.id, block):
            message = f"names block {block}, which is not there"
            yield Fault(VerdictKind.REFERENCE_BROKEN, place, message, found=str(block))
