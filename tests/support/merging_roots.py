"""Root datasets of a heart with a merge strategy, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kamu_assets.coordinator.results import PushResult
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.dataset import AddData
from kamu_assets.storage.layout import data_key, sidecar_folder
from tests.support.heart import ADMIN, Heart
from tests.support.manifests import a_manifest, push_source, reading

Rows = list[dict[str, Any]]

_COLUMNS = ("event_time TIMESTAMP", "id BIGINT", "v STRING")


def a_root(heart: Heart, merge: str, *, name: str = "events", op: bool = False) -> DatasetEntry:
    """A dataset with one push source of NDJSON: `event_time`, `id`, `v`, and `op` where it is asked for."""
    return a_root_of_sources(heart, {"default": (merge, op)}, name=name)


def a_root_of_sources(heart: Heart, sources: Mapping[str, tuple[str, bool]], *, name: str = "events") -> DatasetEntry:
    """The same with several sources, each with its merge and whether it brings operations."""
    events = [
        push_source(source, reading(*_COLUMNS, *(["op INT"] if op else [])), merge=merge)
        for source, (merge, op) in sources.items()
    ]
    return heart.datasets.create_from_snapshot(ADMIN, a_manifest(name, "Root", *events))


def push(coordinator: Coordinator, entry: DatasetEntry, rows: Rows, *, source: str | None = None) -> PushResult:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return coordinator.push(ADMIN, entry.id, PushData(content, "rows"), source_name=source)


def rows_of(heart: Heart, entry: DatasetEntry) -> Rows:
    """All records, proven to be numbered without a gap."""
    head = heart.chains.head(entry.id)
    store = heart.volumes.for_kind(entry.kind)
    rows: Rows = []
    for part in heart.chains.slices(entry.id, after=None, until=head):
        rows += pq.read_table(store.location(data_key(entry.id, part.physical_hash))).to_pylist()
    assert [row["offset"] for row in rows] == list(range(len(rows)))
    return rows


def changes_of(heart: Heart, entry: DatasetEntry) -> list[tuple[int, int | None, str | None]]:
    """Operation, `id` and `v` of all records."""
    return [(row["op"], row["id"], row["v"]) for row in rows_of(heart, entry)]


def data_blocks(heart: Heart, entry: DatasetEntry) -> int:
    return sum(isinstance(found.block.event, AddData) for found in heart.chains.blocks(entry.id))


def sidecars_of(heart: Heart, entry: DatasetEntry) -> Path:
    return sidecar_folder(heart.volumes.for_kind(entry.kind), entry.id)
