"""How names and points in time of a query fail."""

from kamu_assets.datasets.chains.point import Point
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError, NotFoundError
from kamu_assets.odf.multihash import Multihash


class InvalidPageError(InvalidError):
    """`skip` or `limit` is negative."""


class BlockNotFoundError(NotFoundError):
    """A query names a block that is not in the chain of the dataset."""

    def __init__(self, entry: DatasetEntry, block_hash: Multihash) -> None:
        super().__init__(
            f"dataset {entry.alias} ({entry.id}) has no block {block_hash}: `kamu-node log {entry.alias}` lists those"
            " it has"
        )
        self.dataset_id = entry.id
        self.block_hash = block_hash


class NotYetThereError(NotFoundError):
    """A query asks for a dataset as of a time before its first block."""

    def __init__(self, entry: DatasetEntry, point: Point) -> None:
        super().__init__(f"dataset {entry.alias} has no block as of {point}: its first one is later")
        self.dataset_id = entry.id
        self.point = point


class AmbiguousPinError(InvalidError):
    """Two pins of one name are of different datasets."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"`datasets` pins the name '{alias}' to different datasets; give each a name of its own")
        self.alias = alias


class InvalidCallError(InvalidError):
    """A table function is called with arguments that it does not take."""


class NoPrimaryKeyError(InvalidError):
    """`to_table` of a dataset whose rows have nothing that tells them apart."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"dataset {name} has no primary key: to_table needs a source whose merge strategy names one"
            " (Ledger, Snapshot, ChangelogStream or UpsertStream)"
        )
        self.name = name


class AmbiguousPrimaryKeyError(InvalidError):
    """The sources of a dataset tell its rows apart in different ways."""

    def __init__(self, name: str, keys: tuple[tuple[str, ...], ...]) -> None:
        told = "; ".join(", ".join(key) for key in keys)
        super().__init__(f"the sources of dataset {name} have different primary keys ({told}): to_table needs one")
        self.name = name
        self.keys = keys
