"""What merge strategies need of the columns."""

from collections.abc import Sequence

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import MissingColumnError, TypeMismatchError
from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back, takes_operations
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyChangelogStream,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)


def check_columns(schema: pa.Schema, strategy: MergeStrategy, vocab: DatasetVocabulary, *, name: str) -> None:
    """Refuse data without the columns that the strategy needs."""
    if looks_back(strategy) is not None and not key_columns(strategy):
        raise MissingColumnError(
            f"{name}: the merge strategy {strategy.kind} finds rows by their primary key, but `primaryKey` is empty; "
            "name columns in it, or use Append"
        )
    _check_present(schema, key_columns(strategy), "primary key column", name)
    if not takes_operations(strategy):
        return
    op = vocab.operation_type_column
    if isinstance(strategy, MergeStrategyChangelogStream):
        _check_present(schema, (op,), "operation column", name)
    if op in schema.names and not pa.types.is_integer(schema.field(op).type):
        raise TypeMismatchError(
            f"{name}: operation column `{op}` must be an integer (0 append, 1 retract, 2 and 3 correct from and to), "
            f"not {schema.field(op).type}"
        )


def compared_columns(
    strategy: MergeStrategySnapshot | MergeStrategyUpsertStream, columns: Sequence[str], *, name: str
) -> tuple[str, ...]:
    """Columns in which a new row of a known key may differ."""
    named = strategy.compare_columns if isinstance(strategy, MergeStrategySnapshot) else None
    if named is not None:
        _check_present(pa.schema([(column, pa.null()) for column in columns]), named, "compare column", name)
        return tuple(named)
    return tuple(column for column in columns if column not in strategy.primary_key)


def _check_present(schema: pa.Schema, wanted: Sequence[str], what: str, name: str) -> None:
    for column in wanted:
        if column not in schema.names:
            there = ", ".join(schema.names)
            raise MissingColumnError(f"{name}: {what} `{column}` is not in the data; columns are: {there}")
