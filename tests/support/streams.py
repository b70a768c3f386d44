"""Inputs made of blocks, and a derivative of them that is computed run by run, without a node around."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.engines.engine import (
    TransformRequest,
    TransformRequestInput,
    TransformResponse,
    TransformSuccess,
    Watermark,
)
from kamu_assets.engines.incremental.engine import run_incremental
from kamu_assets.engines.job import TransformJob
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.engine import SqlQueryStep, TemporalTable, TransformSql
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp

MILLIS = pa.timestamp("ms", "UTC")
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
SYSTEM = [
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("op", pa.int32(), nullable=False),
    pa.field("system_time", MILLIS, nullable=False),
    pa.field("event_time", MILLIS),
]
Row = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """Rows (`t`: event time in milliseconds) and the watermark after them; made at a millisecond."""

    rows: Sequence[Row]
    mark: int | None
    at: int


@dataclass
class Stream:
    """An input; `blocks` are all it will ever have."""

    alias: str
    columns: Mapping[str, pa.DataType]
    blocks: Sequence[Block]
    folder: Path
    event_time: pa.DataType = MILLIS

    def __post_init__(self) -> None:
        fields = [*SYSTEM[:3], pa.field("event_time", self.event_time)]
        self.schema = pa.schema([*fields, *(pa.field(*column) for column in self.columns.items())])
        self.starts = [0]
        for block in self.blocks:
            self.starts.append(self.starts[-1] + len(block.rows))

    def table(self, first: int, end: int) -> pa.Table:
        """The rows of some blocks."""
        return pa.concat_tables([self.schema.empty_table(), *(self._table(number) for number in range(first, end))])

    def news(self, first: int, end: int) -> TransformRequestInput:
        """The blocks from `first` to before `end`, for an engine."""
        paths = [self._file(number) for number in range(first, end) if self.blocks[number].rows]
        interval = OffsetInterval(start=self.starts[first], end=self.starts[end] - 1) if paths else None
        return TransformRequestInput(
            dataset_id=DatasetID.seeded(self.alias.encode()),
            dataset_alias=DatasetAlias.parse("x"),
            query_alias=self.alias,
            vocab=DatasetVocabulary(),
            offset_interval=interval,
            data_paths=tuple(paths),
            schema=ipc_schema(self.schema),
            explicit_watermarks=tuple(
                Watermark(Timestamp.from_millis(block.at), Timestamp.from_millis(block.mark))
                for block in self.blocks[first:end]
                if block.mark is not None
            ),
        )

    def _file(self, number: int) -> str:
        path = self.folder / f"{self.alias}-{number}.parquet"
        if not path.exists():
            pq.write_table(self._table(number), path)
        return str(path)

    def _table(self, number: int) -> pa.Table:
        block, start = self.blocks[number], self.starts[number]
        rows = [
            {"offset": start + index, "op": 0, **row, "system_time": block.at, "event_time": row.get("t")}
            for index, row in enumerate(block.rows)
        ]
        return pa.table([_column([row.get(one.name) for row in rows], one) for one in self.schema], schema=self.schema)


@dataclass
class Derivative:
    """What an engine makes of streams, run by run."""

    folder: Path
    query: str | Sequence[SqlQueryStep]
    streams: Sequence[Stream]
    temporal: tuple[TemporalTable, ...] | None = None
    engine: str = "flink"
    position: dict[str, int] = field(default_factory=dict)
    answers: list[TransformSuccess] = field(default_factory=list)
    offset: int = 0

    def request(self, read: Mapping[str, int], *, attempt: str = "") -> TransformRequest:
        """The next run, up to so many blocks of each stream."""
        steps = [SqlQueryStep(query=self.query)] if isinstance(self.query, str) else self.query
        inputs = []
        for stream in self.streams:
            first = self.position.get(stream.alias, 0)
            inputs.append(stream.news(first, read.get(stream.alias, first)))
        number = len(self.answers)
        previous = self.checkpoint(number - 1)
        return TransformRequest(
            dataset_id=DatasetID.seeded(b"out"),
            dataset_alias=DatasetAlias.parse("out"),
            system_time=Timestamp.from_millis(1_000_000 + number),
            vocab=DatasetVocabulary(),
            transform=TransformSql(engine=self.engine, queries=tuple(steps), temporal_tables=self.temporal),
            query_inputs=tuple(inputs),
            next_offset=self.offset,
            prev_checkpoint_path=previous if previous.exists() else None,
            new_checkpoint_path=Path(f"{self.checkpoint(number)}{attempt}"),
            new_data_path=Path(f"{self.data(number)}{attempt}"),
        )

    def checkpoint(self, number: int) -> Path:
        return self.folder / f"checkpoint-{number}"

    def data(self, number: int) -> Path:
        return self.folder / f"data-{number}"

    def run(self, **read: int) -> TransformSuccess:
        """Execute the next run; it must succeed."""
        answer = execute(self.request(read))
        assert isinstance(answer, TransformSuccess), answer
        self.answers.append(answer)
        self.position |= read
        if answer.new_offset_interval is not None:
            self.offset = answer.new_offset_interval.end + 1
        return answer

    def all(self) -> TransformSuccess:
        """One run over everything."""
        return self.run(**{stream.alias: len(stream.blocks) for stream in self.streams})

    @property
    def rows(self) -> list[Row]:
        """The output so far, without the system time."""
        tables = [pq.read_table(self.data(number)) for number in range(len(self.answers))]
        return [row for table in tables for row in table.drop_columns(["system_time"]).to_pylist()]

    @property
    def late_rows(self) -> int:
        return sum(answer.late_rows for answer in self.answers)


def execute(request: TransformRequest) -> TransformResponse:
    """One run in this process."""
    return run_incremental(TransformJob(request, Encodings.KAMU, 1 << 30))


def one_shot(sql: str, **tables: pa.Table) -> list[Row]:
    """Plain SQL over all rows at once."""
    config = datafusion.SessionConfig().with_target_partitions(1)
    context = datafusion.SessionContext(config)
    for name, table in tables.items():
        empty = pa.RecordBatch.from_arrays([pa.nulls(0, one.type) for one in table.schema], schema=table.schema)
        context.register_record_batches(name, [table.to_batches() or [empty]])
    found: list[Row] = context.sql(sql).to_arrow_table().to_pylist()
    return found


def _column(values: list[Any], column: pa.Field) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pa.array(values, pa.int64()).cast(column.type)
    if pa.types.is_date32(column.type):
        return pa.array([None if value is None else value // DAY for value in values], pa.int32()).cast(column.type)
    return pa.array(values, column.type)
