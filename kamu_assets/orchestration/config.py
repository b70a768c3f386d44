"""Where the node's Dagster lives and listens: plain values, taken from the settings by whoever wires the node."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """All the adapter needs to know of one node."""

    dagster_home: Path
    # Wake-up sockets of the node's processes.
    run_directory: Path
    database_url: str
    durability: str = "full"
    # Where people find what the node tells of its datasets.
    node_url: str = "http://127.0.0.1:8080"
    host: str = "127.0.0.1"
    webserver_port: int = 3000
    catalog_port: int = 4000
    flows_port: int = 4001
    # The catalog may be split over several code servers; the second and later ones have consecutive ports.
    # None: as many as there have to be, with so many datasets each.
    catalog_shards: int | None = None
    shard_datasets: int = 2_000
    shard_by: Literal["id", "account"] = "id"
    shard_port: int = 4010
    # Of a PostgreSQL for Dagster's own tables; else they are in SQLite in its home.
    postgres_url: str | None = None
    workers: int = 1
    worker_max_runs: int = 1000
    run_time_limit_seconds: float = 86_400
