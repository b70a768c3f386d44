"""Datasets of many small slices and of fewer larger ones, with the same rows, to be queried in process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.slice_writer import write_slice
from kamu_assets.node import Node, open_node
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, MetadataEvent, SetDataSchema
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.query.model import QueryRequest
from kamu_assets.settings import load_settings
from tests.bench import data
from tests.bench.peers.floor import SLICE_SCHEMA
from tests.bench.subject import expect
from tests.support.manifests import a_manifest

_WARM = 5


@dataclass(frozen=True, slots=True)
class Queried:
    """A node with the datasets."""

    node: Node

    def times(self, sql: str, *, rounds: int, wanted: object) -> list[float]:
        """Milliseconds that each of so many queries took, after some to get warm."""
        return [self._time(sql, wanted) for _ in range(_WARM + rounds)][_WARM:]

    def first(self, sql: str, *, wanted: object) -> float:
        """The same for a dataset that nobody has read so far."""
        return self._time(sql, wanted)

    def _time(self, sql: str, wanted: object) -> float:
        began = time.perf_counter()
        answer = self.node.query.query(self.node.auth.admin_caller(), QueryRequest(sql))
        took = time.perf_counter() - began
        expect(sql, found=answer.rows()[0], wanted=wanted)
        return took * 1000


@contextmanager
def sliced(folder: Path, *, rows: int, slices: dict[str, int]) -> Iterator[Queried]:
    """Datasets of these names with so many slices each."""
    with open_node(load_settings(folder, storage={"durability": "fast"})) as node:
        for name, count in slices.items():
            entry = node.datasets.create_from_snapshot(node.auth.admin_caller(), a_manifest(name, "Root"))
            bounds = [number * rows // count for number in range(count + 1)]
            for start, end in itertools.pairwise(bounds):
                _add(node, entry, start, end - start)
        assert node.query
        node.query_pool.warm_up(1)
        yield Queried(node)


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


def _rows(start: int, count: int) -> pa.RecordBatch:
    (batch,) = data.events(count, start=start).combine_chunks().to_batches()
    system = {
        "offset": pa.array(np.arange(start, start + count)),
        "op": pa.array(np.zeros(count, np.int32)),
        "system_time": pa.array(np.full(count, data.START_MILLIS), data.MILLIS),
    }
    columns = [system[name] if name in system else batch.column(name) for name in SLICE_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=SLICE_SCHEMA)
