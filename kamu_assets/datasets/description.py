"""All that a node knows of one dataset, at one moment."""

from collections.abc import Sequence
from dataclasses import dataclass

from kamu_assets.datasets.model import DatasetEntry, DatasetSummary
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema


@dataclass(frozen=True, slots=True)
class DescribedInput:
    """A dataset that a transform reads."""

    # As the chain names it.
    ref: str
    # How the queries call it.
    alias: str | None
    # None where it is not here, or not for the caller.
    entry: DatasetEntry | None

    def __str__(self) -> str:
        return self.ref if self.entry is None else str(self.entry.alias)


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """Head and sums, what the chain says so far, and neighbours as far as the caller may know of them."""

    summary: DatasetSummary
    chain: ChainState
    inputs: Sequence[DescribedInput]
    dependents: Sequence[DatasetEntry]
    # A folder or a URL.
    location: str

    @property
    def entry(self) -> DatasetEntry:
        """The dataset itself."""
        return self.summary.entry

    @property
    def schema(self) -> DataSchema | None:
        """What its data looks like; None before anybody knows."""
        said = self.chain.schema
        if said is None or said.raw_arrow_schema is None:
            return said.schema_ if said else None
        from kamu_assets.odf.arrow_schema import upgrade_legacy_schema

        return upgrade_legacy_schema(said.raw_arrow_schema)
