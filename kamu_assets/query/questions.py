"""What a query in a worker asks the node about datasets, and the answers. Names are resolved for one caller only."""

from dataclasses import dataclass
from pathlib import Path

from kamu_assets.datasets.chains.point import Point
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.dataset import SetDataSchema
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.tables.pack_plan import SliceFile


@dataclass(frozen=True)
class FindTable:
    """Which dataset has this name? Answer: `TableFound`, or None for unknown and unreadable ones alike.

    Only what a query reads is told in its answer (`is_read`), not what the information schema looks at. With a point
    the dataset is meant as it was then.
    """

    name: str
    is_read: bool
    point: Point | None = None


@dataclass(frozen=True)
class TableFound:
    """The dataset, the block at which this query sees it, and where it is kept."""

    id: DatasetID
    head: Multihash
    location: str


@dataclass(frozen=True)
class DescribeTable:
    """What is in a found dataset? Answer: `TableSpec`, without slices where only its columns matter."""

    found: TableFound
    only_columns: bool = False


@dataclass(frozen=True)
class TableSpec:
    """Slices oldest first. No schema: nothing was ever written."""

    schema: SetDataSchema | None
    vocab: DatasetVocabulary
    slices: tuple[SliceFile, ...]
    # Usually one, or none.
    primary_keys: tuple[tuple[str, ...], ...] = ()
    # Where small slices may be put together.
    packs: Path | None = None

    @property
    def offset_column(self) -> str:
        return self.vocab.offset_column

    @property
    def locations(self) -> tuple[str, ...]:
        return tuple(each.location for each in self.slices)


@dataclass(frozen=True)
class ListTables:
    """Names of all datasets the caller may read."""


Question = FindTable | DescribeTable | ListTables
Answer = TableFound | TableSpec | tuple[str, ...] | None
