from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.engines.workers.pool import WorkerLimits, WorkerPool
from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.data import DataField, Int64Type, OffsetInterval, OptionType, StringType
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.recorder import QueryRecorder
from kamu_assets.query.model import QueryRequest, QueryResponse
from kamu_assets.query.service import QueryService
from tests.support.builders import START, a_schema
from tests.support.heart import Heart, open_heart, that_adds

SCHEMA = a_schema(
    DataField(name="station", type=OptionType(inner=StringType())),
    DataField(name="level", type=OptionType(inner=Int64Type())),
)
# Operation, station and level.
Change = tuple[int, str | None, int | None]


@dataclass
class Reading:
    """A node's heart with a query service on it."""

    heart: Heart
    service: QueryService

    def stations(self, name: str, *slices: int) -> DatasetEntry:
        """Stations s0, s1, … with levels 0, 1, …, so many per slice."""
        entry = self.heart.dataset(name, SCHEMA)
        for count in slices:
            self.add(entry, count)
        return entry

    def nothing_written(self, name: str) -> DatasetEntry:
        return self.heart.dataset(name, SetInfo(description="still empty"))

    def add(self, entry: DatasetEntry, count: int, *, at: Timestamp = START) -> Multihash:
        """One more slice; tells the new head."""
        start = self.heart.chains.state(entry.id).next_offset
        stations = [(0, f"s{number}", number) for number in range(start, start + count)]
        return self.write(entry, stations, at=at)

    def write(self, entry: DatasetEntry, changes: Sequence[Change], *, at: Timestamp = START) -> Multihash:
        """A slice of operations, stations and levels."""
        state = self.heart.chains.state(entry.id)
        path = self.heart.volumes.staging(DatasetKind.ROOT) / f"new-{entry.name}-{state.next_offset}"
        assert SCHEMA.schema_ is not None
        schema = to_arrow(SCHEMA.schema_)
        stats = write_slice(path, schema, [station_rows(schema, state.next_offset, changes, at)])
        assert stats.first_offset is not None
        assert stats.last_offset is not None
        new = NewSlice(
            path=path,
            physical_hash=stats.physical_hash,
            logical_hash=stats.logical_hash,
            offset_interval=OffsetInterval(start=stats.first_offset, end=stats.last_offset),
            size=stats.size,
        )
        result = self.heart.committer.commit(
            entry.id, expected_head=state.head, events=[that_adds(new, state)], files=[new], system_time=at
        )
        return result.new_head

    def query(self, sql: str, **options: Any) -> QueryResponse:
        return self.service.query(ANONYMOUS, QueryRequest(sql, **options))

    def rows(self, sql: str, **options: Any) -> Any:
        return self.query(sql, **options).rows()


def station_rows(schema: pa.Schema, start: int, changes: Sequence[Change], at: Timestamp) -> pa.RecordBatch:
    operations, stations, levels = zip(*changes, strict=True)
    numbers, moments = range(start, start + len(changes)), [at.millis] * len(changes)
    columns = [numbers, operations, moments, moments, stations, levels]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@pytest.fixture(scope="session")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(name="query", size=2, limits=WorkerLimits(1 << 30, 60))
    yield pool
    pool.close()


@pytest.fixture
def reading(tmp_path: Path, pool: WorkerPool) -> Iterator[Reading]:
    heart = open_heart(tmp_path)
    service = QueryService(
        datasets=heart.datasets,
        chains=heart.chains,
        past=PastStates(database=heart.database, volumes=heart.volumes),
        volumes=heart.volumes,
        pool=pool,
        recorder=QueryRecorder(None, clock=heart.clock),
        max_rows=100_000,
        max_answer_bytes=1 << 20,
    )
    yield Reading(heart, service)
    heart.database.close()
