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
# In Dagster's home: how many there are, where the number is left to the node.
COUNT_FILE = "catalog_shards"
MOST_SHARDS = 64


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


def shard_count(config: AdapterConfig) -> int:
    """What the operator wants, else what was decided last."""
    if config.catalog_shards is not None:
        return config.catalog_shards
    try:
        text = (config.dagster_home / COUNT_FILE).read_text(encoding="ascii")
    except OSError:
        return 1
    return min(int(text), MOST_SHARDS) if text.isdigit() and int(text) else 1


def shards_wanted(config: AdapterConfig, *, datasets: int, now: int) -> int:
    """How many there should be for so many datasets, where there are `now`."""
    if config.catalog_shards is not None:
        return config.catalog_shards
    needed = min(max(1, -(-datasets // config.shard_datasets)), MOST_SHARDS)
    # Who deletes a few datasets and adds others should not see the others move.
    return now if needed <= now <= 2 * needed else needed


def shards(config: AdapterConfig) -> tuple[Shard, ...]:
    """All of them; a node with few datasets has one."""
    return tuple(shard_at(config, number) for number in range(1, shard_count(config) + 1))


def shard_at(config: AdapterConfig, number: int) -> Shard:
    if number == 1:
        return Shard(number, "catalog", config.catalog_port)
    return Shard(number, f"catalog-{number}", config.shard_port + number - 2)


def shard_of(config: AdapterConfig, dataset: "DatasetID", account: str, *, count: int) -> Shard:
    """Where a dataset belongs among so many; one more takes a few of each, and leaves the others where they are."""
    said = dataset.to_bytes() if config.shard_by == "id" else account.lower().encode()
    return shard_at(config, 1 + _jump(int.from_bytes(hashlib.sha256(said).digest()[:8], "big"), count))


def _jump(key: int, count: int) -> int:
    """Consistent hashing without a table (Lamping and Veach, 2014)."""
    place, following = 0, 0
    while following < count:
        place = following
        key = (key * 2862933555777941757 + 1) % 2**64
        following = int((place + 1) * 2**31 / ((key >> 33) + 1))
    return place
