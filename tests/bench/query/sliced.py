"""A node with datasets of many small slices, of fewer larger ones, and of one."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.node import Node, open_node
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, MetadataEvent, SetDataSchema
from kamu_assets.odf.identity import DatasetAlias, DatasetKind
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import sidecar_folder
from tests.bench import data
from tests.bench.peers.floor import SLICE_SCHEMA
from tests.support.manifests import a_manifest

_BLOCK: Final = 100_000


@dataclass(frozen=True, slots=True)
class Sliced:
    """So many rows in so many slices."""

    rows: int
    slices: int


@contextmanager
def sliced(folder: Path, datasets: Mapping[str, Sliced]) -> Iterator[Node]:
    """A node with datasets of these names."""
    with open_node(load_settings(folder, storage={"durability": "fast"})) as node:
        for name, shape in datasets.items():
            entry = node.datasets.create_from_snapshot(node.auth.admin_caller(), a_manifest(name, "Root"))
            bounds = [number * shape.rows // shape.slices for number in range(shape.slices + 1)]
            for start, end in itertools.pairwise(bounds):
                _add(node, entry, start, end - start)
        yield node


def files_of(node: Node, name: str) -> list[str]:
    """The slices of a dataset, oldest first."""
    entry = node.datasets.resolve(node.auth.admin_caller(), DatasetAlias.parse(f"kamu/{name}"))
    return [piece.location for piece in node.datasets.stored_slices(entry)]


def packs_of(node: Node, name: str) -> list[Path]:
    """What was put together of small slices, so far."""
    entry = node.datasets.resolve(node.auth.admin_caller(), DatasetAlias.parse(f"kamu/{name}"))
    return list((sidecar_folder(node.volumes.for_kind(entry.kind), entry.id) / "packs").glob("f1620*"))


def _add(node: Node, entry: DatasetEntry, start: int, count: int) -> None:
    chain = node.chains.state(entry.id)
    path = node.volumes.staging(DatasetKind.ROOT) / f"{entry.name}-{start}"
    stats = write_slice(path, SLICE_SCHEMA, [_rows(start, count)])
    interval = OffsetInterval(start=start, end=start + count - 1)
    new = NewSlice(path, stats.physical_hash, stats.logical_hash, interval, stats.size)
    watermark = chain.watermark or stats.max_event_time
    events: list[MetadataEvent] = [
        AddData(prev_offset=chain.last_offset, new_data=new.data_slice, new_watermark=watermark)
    ]
    if chain.schema is None:
        events.insert(0, SetDataSchema(schema_=from_arrow(SLICE_SCHEMA)))
    node.committer.commit(entry.id, expected_head=chain.head, events=events, files=[new], system_time=node.clock.now())


@functools.lru_cache(maxsize=2)
def _block(start: int) -> pa.Table:
    return data.events(_BLOCK, start=start)


def _rows(start: int, count: int) -> pa.RecordBatch:
    """The same rows however they are cut."""
    blocks = range(start - start % _BLOCK, start + count, _BLOCK)
    events = pa.concat_tables([_block(first) for first in blocks]).slice(start - blocks[0], count)
    (batch,) = events.combine_chunks().to_batches()
    system = {
        "offset": pa.array(np.arange(start, start + count)),
        "op": pa.array(np.zeros(count, np.int32)),
        "system_time": pa.array(np.full(count, data.START_MILLIS), data.MILLIS),
    }
    columns = [system[name] if name in system else batch.column(name) for name in SLICE_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=SLICE_SCHEMA)
