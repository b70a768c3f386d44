"""Which code server shows a dataset: a big catalog is split over several, since a change reloads all of one.

Imports nothing heavy: the supervisor looks here, too.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kamu_assets.orchestration.config import AdapterConfig

if TYPE_CHECKING:
    from kamu_assets.odf.identity import DatasetID

# Tells a code server which one it is.
SHARD_VARIABLE = "KAMU_NODE_CATALOG_SHARD"


@dataclass(frozen=True, slots=True)
class Shard:
    """A code location of the catalog."""

    # From 1.
    number: int
    location: str
    port: int

    @property
    def state_key(self) -> str:
        """Where Dagster keeps what the location shows."""
        return state_key(self.number)


def state_key(number: int) -> str:
    return "DatasetCatalog" if number == 1 else f"DatasetCatalog-{number}"


def shards(config: AdapterConfig) -> tuple[Shard, ...]:
    """All of them; a node that does not split its catalog has one."""
    return tuple(_shard(config, number) for number in range(1, config.catalog_shards + 1))


def shard_of(config: AdapterConfig, dataset: "DatasetID", account: str) -> Shard:
    """Always the same for a dataset, as long as the number of shards and what they go by stay the same."""
    said = dataset.to_bytes() if config.shard_by == "id" else account.lower().encode()
    place = int.from_bytes(hashlib.sha256(said).digest()[:8], "big")
    return _shard(config, 1 + place % config.catalog_shards)


def _shard(config: AdapterConfig, number: int) -> Shard:
    if number == 1:
        return Shard(number, "catalog", config.catalog_port)
    return Shard(number, f"catalog-{number}", config.shard_port + number - 2)
