"""Our side of small pushes: each is a slice and a block of its own, acknowledged before the next begins."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from kamu_assets.coordinator.ingest.ingestion import new_slice
from kamu_assets.coordinator.ingest.slice_events import NewData, plan_events
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.service import PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.slices.writer import SliceWriter
from kamu_assets.node import Node, open_node
from kamu_assets.odf.dataset import DatasetKind
from kamu_assets.settings import load_settings
from tests.bench import data
from tests.bench.ingest import EVENTS, manifest
from tests.bench.peers.small_commits import slice_rows
from tests.bench.subject import expect

MOST_ROWS = 100


class Ours(Protocol):
    """What takes one push after another."""

    node: Node
    # What to push, as it is pushed.
    inputs: Sequence[Any]

    def push(self, one: Any) -> None: ...


def small_tables(count: int) -> list[pa.Table]:
    """So many tables of 1 to 100 rows, always the same."""
    chance = random.Random(3)
    sizes = [chance.randint(1, MOST_ROWS) for _ in range(count)]
    rows = data.events(sum(sizes))
    starts = [sum(sizes[:number]) for number in range(count)]
    return [rows.slice(start, size) for start, size in zip(starts, sizes, strict=True)]


@dataclass
class Library:
    """Rows in memory → slice → commit: the path without reading and without the worker that protects from its input."""

    node: Node
    inputs: Sequence[pa.Table]
    entry: DatasetEntry
    number: int = 0

    def push(self, one: pa.Table) -> None:
        node, self.number = self.node, self.number + 1
        chain = node.chains.state(self.entry.id)
        path = node.volumes.staging(DatasetKind.ROOT) / f"slice-{self.number}"
        now = next_system_time(node.clock, chain)
        complete = slice_rows(one, chain.next_offset, now.millis)
        with SliceWriter(path, complete.schema) as writer:
            for batch in complete.to_batches():
                writer.write(batch)
            stats = writer.finish()
        made = new_slice(stats, path)
        new = NewData(data_slice=made.data_slice, max_event_time=stats.max_event_time)
        events = plan_events(chain, new)
        node.committer.commit(self.entry.id, expected_head=chain.head, events=events, files=[made], system_time=now)


@dataclass
class Pushing:
    """NDJSON → worker → slice → commit: what a client waits for, but for HTTP."""

    node: Node
    inputs: Sequence[bytes]

    def push(self, one: bytes) -> None:
        self.node.coordinator.push(self.node.auth.admin_caller(), EVENTS, PushData(one))


@contextmanager
def library(folder: Path, *, durability: str, count: int) -> Iterator[Library]:
    with _node(folder, durability) as node:
        yield Library(node, small_tables(count), node.datasets.resolve(node.auth.admin_caller(), EVENTS))


@contextmanager
def pushing(folder: Path, *, durability: str, count: int) -> Iterator[Pushing]:
    with _node(folder, durability) as node:
        yield Pushing(node, [ndjson(rows) for rows in small_tables(count)])


@contextmanager
def _node(folder: Path, durability: str) -> Iterator[Node]:
    with open_node(load_settings(folder, storage={"durability": durability})) as node:
        node.datasets.create_from_snapshot(node.auth.admin_caller(), manifest("NdJson"))
        assert node.coordinator
        # The first push brings the schema with it, and starts what has to be started.
        Pushing(node, ()).push(ndjson(small_tables(1)[0]))
        yield node


def push_all(ours: Ours) -> Ours:
    for one in ours.inputs:
        ours.push(one)
    return ours


def check_all(ours: Ours, count: int) -> None:
    """Every push has its own slice, and no row is missing."""
    node = ours.node
    summary = node.datasets.summary(node.auth.admin_caller(), EVENTS)
    expect("slices", found=summary.statistics.slices, wanted=count + 1)
    rows = sum(table.num_rows for table in [*small_tables(count), small_tables(1)[0]])
    expect("records", found=summary.statistics.records, wanted=rows)


def times_of(ours: Ours) -> Sequence[float]:
    """Seconds that each push took."""
    found = []
    for one in ours.inputs:
        began = time.perf_counter()
        ours.push(one)
        found.append(time.perf_counter() - began)
    return found


def ndjson(rows: pa.Table) -> bytes:
    import polars as pl

    frame: Any = pl.from_arrow(rows)
    out = io.BytesIO()
    frame.with_columns(pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).write_ndjson(out)
    return out.getvalue()
