"""The rows that one input adds to a dataset: read, preprocessed, normalized, merged; failures explained."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.columns import check_input_columns, fit_schema, slice_schema
from kamu_assets.coordinator.ingest.errors import IngestError, TooLargeError
from kamu_assets.coordinator.ingest.event_runs import sorted_by_time
from kamu_assets.coordinator.ingest.explain.blame import blame_input
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.explain.queries import preprocess_error
from kamu_assets.coordinator.ingest.explain.time_values import blame_times, is_about_times
from kamu_assets.coordinator.ingest.limits import MIB, IngestLimits
from kamu_assets.coordinator.ingest.merge.keys import check_columns
from kamu_assets.coordinator.ingest.merge.needs import takes_operations
from kamu_assets.coordinator.ingest.merge.strategies import Merge, operation_field
from kamu_assets.coordinator.ingest.preprocess import Preprocessing
from kamu_assets.coordinator.ingest.read.opening import open_input
from kamu_assets.coordinator.ingest.read.steps import ReadFrame
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, open_bench
from kamu_assets.coordinator.ingest.sidecars.history import History
from kamu_assets.coordinator.ingest.sidecars.seen import SeenKeys
from kamu_assets.coordinator.ingest.slice_request import SliceInput
from kamu_assets.coordinator.ingest.times import normalize_times
from kamu_assets.errors import KamuError
from kamu_assets.odf.data import DataSchema, DatasetVocabulary
from kamu_assets.odf.source import MergeStrategy
from kamu_assets.storage.errors import StorageFullError


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rows of an input depend on beside the input."""

    vocab: DatasetVocabulary
    merge: MergeStrategy
    event_time_type: pa.DataType
    dataset_schema: DataSchema | None
    limits: IngestLimits
    # What strategies that look back want to know, asked for when everything else is well.
    history: Callable[[], History | None]
    # The same for a ledger, with the keys of inputs before this one in the same slice.
    seen: Callable[[], SeenKeys | None]


class InputRows:
    """Rows of one input, ready to be completed and written."""

    def __init__(self, bench: Bench, one: SliceInput, source: ReadFrame) -> None:
        self.name = one.name
        self._bench = bench
        self._input = one
        self._source = source
        self._frame: DataFrame
        self._merge: Merge
        self.event_time: str
        self.slice_schema: pa.Schema

    @classmethod
    def open(cls, one: SliceInput, *, around: Surroundings, scratch: Path) -> Self | None:
        """Plan everything that can be known before the rows are read; None when there is nothing to read."""
        bench = open_bench(around.limits, scratch)
        try:
            source = open_input(bench, one)
            if source is None:
                return None
            rows = cls(bench, one, source)
            rows._plan(around)
        except EngineFailureError as error:
            raise general_error(one.name, str(error)) from error
        return rows

    @property
    def keeps_order(self) -> bool:
        """Whether `stream` gives rows as they come, which may not be the order of event time."""
        return self._merge.keeps_order

    def stream(self) -> Iterator[pa.RecordBatch]:
        """The records: in commit order, or as they come."""
        return self._explained(self._frame)

    def stream_sorted(self) -> Iterator[pa.RecordBatch]:
        """Those that come in no order, by event time."""
        memory = self._bench.limits.sort_memory_bytes
        return sorted_by_time(self.stream(), self.event_time, scratch=self._bench.scratch, memory_bytes=memory)

    def _plan(self, around: Surroundings) -> None:
        vocab, strategy = around.vocab, around.merge
        self.event_time = vocab.event_time_column
        self._preprocessing = Preprocessing(
            self._input.preprocess, vocab, declared=self._source.declared is not None, name=self.name
        )
        frame = self._preprocessing.apply(self._bench, self._source.frame)
        check_input_columns(frame.schema(), vocab, brings_op=takes_operations(strategy), name=self.name)
        self._raw = frame
        frame = normalize_times(self._bench, frame, vocab, around.event_time_type)
        check_columns(frame.schema(), strategy, vocab, name=self.name)
        operation = operation_field(strategy, frame.schema(), vocab)
        self.slice_schema = slice_schema(frame.schema(), vocab).set(1, operation)
        if around.dataset_schema is not None:
            fit_schema(self.slice_schema, around.dataset_schema, name=self.name)
        self._frame = frame
        self._merge = Merge(
            self._bench, strategy, vocab=vocab, history=around.history(), seen=around.seen(), name=self.name
        )

    def _explained(self, frame: DataFrame) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._merge.rows(frame)
        except EngineFailureError as error:
            raise self._explain(str(error)) from error

    def _explain(self, reason: str) -> KamuError:
        if "No space left" in reason:
            return StorageFullError(self._bench.scratch)
        if "Resources exhausted" in reason:
            memory = self._bench.limits.sort_memory_bytes // MIB
            return TooLargeError(f"{self.name}: sorting and comparing needs more than {memory} MiB")
        try:
            blame_input(self._bench, self._source, self._input.read)
            if is_about_times(reason):
                blame_times(self._bench, self._raw, name=self.name)
        except IngestError as error:
            return error
        return preprocess_error(self._bench, self._source, self._preprocessing, reason=reason)
