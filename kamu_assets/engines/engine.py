"""What a coordinator asks of an engine, and what it gets (ODF: Engine contract, `engine.proto`).

Locations are paths or URLs that the engine opens itself; schemas travel as Arrow IPC bytes.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from kamu_assets.engines.slices.facts import SliceStats
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True)
class Watermark:
    """`event_time` became complete at `system_time`."""

    system_time: Timestamp
    event_time: Timestamp


@dataclass(frozen=True)
class TransformRequestInput:
    """News of one input: slices oldest first, and the rows of them that count. No news: no interval, no paths."""

    dataset_id: DatasetID
    dataset_alias: DatasetAlias
    query_alias: str
    vocab: DatasetVocabulary
    offset_interval: OffsetInterval | None
    data_paths: tuple[str, ...]
    schema: bytes
    explicit_watermarks: tuple[Watermark, ...]


@dataclass(frozen=True)
class TransformRequest:
    """One step of a derivative dataset."""

    dataset_id: DatasetID
    dataset_alias: DatasetAlias
    system_time: Timestamp
    vocab: DatasetVocabulary
    transform: TransformSql
    query_inputs: tuple[TransformRequestInput, ...]
    next_offset: int
    prev_checkpoint_path: Path | None
    new_checkpoint_path: Path
    new_data_path: Path


@dataclass(frozen=True)
class RawQueryRequest:
    """A query over files outside of any dataset. The table is called `input`."""

    input_data_paths: tuple[str, ...]
    transform: TransformSql
    output_data_path: Path


@dataclass(frozen=True)
class TransformSuccess:
    """The slice is at the requested path, also when it has no rows: it carries the schema.

    `stats` and `schema` are what the writer of the slice saw; an engine that cannot tell leaves them out. Of the input
    rows, `late_rows` came too late to count.
    """

    new_offset_interval: OffsetInterval | None
    new_watermark: Timestamp | None
    stats: SliceStats | None = None
    schema: bytes | None = None
    late_rows: int = 0
    # Of the rows, when only that was asked for and nothing is written.
    logical_hash: Multihash | None = None


@dataclass(frozen=True)
class RawQuerySuccess:
    num_records: int


@dataclass(frozen=True)
class InvalidQuery:
    """The author of the query has to change it."""

    message: str


@dataclass(frozen=True)
class InternalError:
    """The query failed on this data, or the engine did."""

    message: str


class EngineContractError(InvalidError):
    """The engine's answer does not hold together."""

    kind: ClassVar[str] = "engine-contract"


TransformResponse = TransformSuccess | InvalidQuery | InternalError
RawQueryResponse = RawQuerySuccess | InvalidQuery | InternalError
OnProgress = Callable[[Any], None]


class Engine(Protocol):
    """Executes SQL under the semantics that its name stands for. Limits and lost processes raise a `KamuError`."""

    def transform(
        self,
        request: TransformRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> TransformResponse: ...

    def raw_query(
        self,
        request: RawQueryRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> RawQueryResponse: ...


@runtime_checkable
class RowHasher(Protocol):
    """An engine that can spare the file of a result when its hash is enough."""

    def hash_rows(self, request: TransformRequest, *, cancel: threading.Event | None = None) -> TransformResponse:
        """Transform, but write nothing unless the hash is that of rows as they are read back."""
        ...
