"""Merge strategies: which records an input becomes, and in which order they are committed (ODF: MergeStrategy)."""

from collections.abc import Iterable, Iterator
from typing import Final, assert_never

import numpy as np
import pyarrow as pa
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.commit_order import by_key
from kamu_assets.coordinator.ingest.errors import TypeMismatchError
from kamu_assets.coordinator.ingest.event_order import without_views
from kamu_assets.coordinator.ingest.merge.changes import Comparison, as_operation, fitted, pickable
from kamu_assets.coordinator.ingest.merge.keys import compared_columns
from kamu_assets.coordinator.ingest.merge.needs import key_columns, only_adds
from kamu_assets.coordinator.ingest.merge.snapshot import SnapshotMerge
from kamu_assets.coordinator.ingest.merge.upsert import UpsertMerge
from kamu_assets.coordinator.ingest.session import Bench, engine_failures, stream
from kamu_assets.coordinator.ingest.sidecars.building import RunBuilder
from kamu_assets.coordinator.ingest.sidecars.equality import as_mask
from kamu_assets.coordinator.ingest.sidecars.history import History
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.seen import SeenKeys
from kamu_assets.coordinator.ingest.sidecars.state import LatestState
from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.odf.data import DatasetVocabulary, OperationType
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)

_OPERATIONS: Final = max(OperationType)


class Merge:
    """The merge of one input into a dataset."""

    def __init__(
        self,
        bench: Bench,
        strategy: MergeStrategy,
        *,
        vocab: DatasetVocabulary,
        history: History | None,
        seen: SeenKeys | None,
        name: str,
    ) -> None:
        self._bench = bench
        self._strategy = strategy
        self._vocab = vocab
        # Without rows there is nothing to compare with.
        self._history = history if history is not None and history.runs else None
        self._seen = seen
        self._name = name
        # Whether rows come in the order of the input, for others to bring in order of event time.
        self.keeps_order = only_adds(strategy)

    def rows(self, frame: DataFrame) -> Iterator[pa.RecordBatch]:
        """The records; those of strategies that change rows bring their operation and come in commit order."""
        batches = stream(frame)
        match self._strategy:
            case MergeStrategyAppend():
                return batches
            case MergeStrategyLedger():
                return self._unseen(batches, pickable(frame.schema()))
            case MergeStrategyChangelogStream():
                return self._ordered(_checked(batches, self._operation, self._name))
            case MergeStrategySnapshot() as strategy:
                return self._ordered(self._snapshot(strategy, batches, frame.schema()))
            case MergeStrategyUpsertStream() as strategy:
                return self._ordered(self._upsert(strategy, batches, frame.schema()))
            case _:
                assert_never(self._strategy)

    @property
    def _operation(self) -> str:
        return self._vocab.operation_type_column

    def _ordered(self, changes: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return by_key(self._bench, changes, key_columns(self._strategy), self._operation)

    def _unseen(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if self._seen is None:
            return batches
        found = (self._seen.unseen(batch.cast(schema)) for batch in batches)
        return (batch for batch in found if batch.num_rows)

    def _snapshot(
        self, strategy: MergeStrategySnapshot, batches: Iterator[pa.RecordBatch], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        if self._history is None:
            return (as_operation(batch, OperationType.APPEND, self._operation) for batch in batches)
        merge = SnapshotMerge(
            LatestState(self._history),
            self._comparison(strategy, schema),
            key=strategy.primary_key[0],
            operation=self._operation,
        )
        return merge.changes(self._fitted(batches, schema, self._history))

    def _upsert(
        self, strategy: MergeStrategyUpsertStream, batches: Iterator[pa.RecordBatch], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        if self._operation not in schema.names:
            batches = (as_operation(batch, OperationType.APPEND, self._operation) for batch in batches)
            schema = schema.append(pa.field(self._operation, pa.int32()))
        history = self._history or self._no_history(strategy, schema)
        merge = UpsertMerge(LatestState(history), self._comparison(strategy, schema), operation=self._operation)
        rows = self._fitted(batches, schema, history)
        payload = _fitted_schema(schema, history, self._operation)
        return merge.changes(rows, RunBuilder(history.workshop(self._bench.scratch, payload), for_others=False))

    def _no_history(self, strategy: MergeStrategyUpsertStream, schema: pa.Schema) -> History:
        # Rows are picked out of runs, which Arrow cannot do where texts are views.
        plain = pa.schema([field.with_type(without_views(field.type)) for field in schema])
        return History.empty(Layout(Contents.STATE, key_columns(strategy), plain, self._vocab))

    def _comparison(self, strategy: MergeStrategySnapshot | MergeStrategyUpsertStream, schema: pa.Schema) -> Comparison:
        columns = [name for name in schema.names if name != self._operation]
        return Comparison(compared_columns(strategy, columns, name=self._name), self._vocab.event_time_column)

    def _fitted(
        self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, history: History
    ) -> Iterator[pa.RecordBatch]:
        with engine_failures():
            yield from fitted(batches, _fitted_schema(schema, history, self._operation))


def _fitted_schema(schema: pa.Schema, history: History, operation: str) -> pa.Schema:
    """The columns of an input with the types of the dataset."""
    kept = history.layout.schema
    return pa.schema(
        [
            pa.field(field.name, pa.int64() if field.name == operation else kept.field(field.name).type)
            for field in schema
        ]
    )


def operation_field(strategy: MergeStrategy, schema: pa.Schema, vocab: DatasetVocabulary) -> pa.Field:
    """The operation column of a slice. That of a changelog demands no more than the input does."""
    column = vocab.operation_type_column
    as_in_input = isinstance(strategy, MergeStrategyChangelogStream) and schema.field(column).nullable
    return pa.field(column, pa.int32(), nullable=as_in_input)


def _checked(batches: Iterable[pa.RecordBatch], operation: str, name: str) -> Iterator[pa.RecordBatch]:
    """Rows of a changelog whose operations are proven to be some."""
    done = 0
    for batch in batches:
        place = batch.schema.get_field_index(operation)
        values = batch.column(place)
        numbers = values.cast(pa.int64(), safe=False).fill_null(-1).to_numpy()
        wrong = np.flatnonzero((numbers < 0) | (numbers > _OPERATIONS) | as_mask(values.is_null()))
        if len(wrong):
            row, value = int(wrong[0]), values[int(wrong[0])].as_py()
            raise TypeMismatchError(
                f"{name}, record {done + row + 1}, column `{operation}`: {value!r} is no operation "
                "(0 append, 1 retract, 2 correct from, 3 correct to)"
            )
        done += batch.num_rows
        yield batch.set_column(place, pa.field(operation, pa.int32()), values.cast(pa.int32()))
