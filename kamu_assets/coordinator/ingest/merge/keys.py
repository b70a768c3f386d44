"""What merge strategies need of the columns."""

from collections.abc import Sequence

import pyarrow as pa

from kamu_assets.coordinator.ingest.column_names import check_keys, check_present
from kamu_assets.coordinator.ingest.errors import TypeMismatchError
from kamu_assets.coordinator.ingest.merge.needs import takes_operations
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)


def check_columns(schema: pa.Schema, strategy: MergeStrategy, vocab: DatasetVocabulary, *, name: str) -> None:
    """Refuse data without the columns that the strategy needs."""
    check_keys(schema.names, strategy, vocab, name=name)
    op = vocab.operation_type_column
    if takes_operations(strategy) and op in schema.names and not pa.types.is_integer(schema.field(op).type):
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
        check_present(columns, named, "compare column", name)
        return tuple(named)
    return tuple(column for column in columns if column not in strategy.primary_key)
