"""The two places datasets live in: what was ingested is irreplaceable, what was computed is not."""

from dataclasses import dataclass
from pathlib import Path

from kamu_assets.odf.identity import DatasetKind
from kamu_assets.storage.blocks import BlockStore
from kamu_assets.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Volumes:
    """A store for root datasets and one for derivatives; both may be the same."""

    root: ObjectStore
    derivative: ObjectStore

    def for_kind(self, kind: DatasetKind) -> ObjectStore:
        """The store that holds datasets of this kind."""
        return self.root if kind is DatasetKind.ROOT else self.derivative

    def blocks(self, kind: DatasetKind) -> BlockStore:
        """The blocks of datasets of this kind."""
        return BlockStore(self.for_kind(kind))

    def staging(self, kind: DatasetKind) -> Path:
        """The folder to build files in that will become objects of this kind."""
        return self.for_kind(kind).staging()

    def distinct(self) -> tuple[ObjectStore, ...]:
        """Every store once."""
        return (self.root,) if self.root is self.derivative else (self.root, self.derivative)
