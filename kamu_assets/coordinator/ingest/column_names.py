"""What the columns of data must be called, and must not be."""

from collections.abc import Iterable, Sequence

from kamu_assets.coordinator.ingest.errors import MissingColumnError, SystemColumnInInputError
from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.source import MergeStrategy, MergeStrategyChangelogStream


def check_reserved(columns: Sequence[str], vocab: DatasetVocabulary, *, brings_op: bool, name: str) -> None:
    """Refuse system columns."""
    forbidden = [vocab.offset_column, vocab.system_time_column]
    forbidden += [] if brings_op else [vocab.operation_type_column]
    for column in forbidden:
        if column in columns:
            raise SystemColumnInInputError(
                f"{name}: column `{column}` is written by the node itself; "
                "rename it in a preprocess query or choose other names with SetVocab"
            )


def check_keys(columns: Sequence[str], strategy: MergeStrategy, vocab: DatasetVocabulary, *, name: str) -> None:
    """Refuse data without the columns that rows are found by, or that says nothing of operations where it must."""
    if looks_back(strategy) is not None and not key_columns(strategy):
        raise MissingColumnError(
            f"{name}: the merge strategy {strategy.kind} finds rows by their primary key, but `primaryKey` is empty; "
            "name columns in it, or use Append"
        )
    check_present(columns, key_columns(strategy), "primary key column", name)
    if isinstance(strategy, MergeStrategyChangelogStream):
        check_present(columns, (vocab.operation_type_column,), "operation column", name)


def check_present(columns: Sequence[str], wanted: Iterable[str], what: str, name: str) -> None:
    """Refuse data without a column."""
    for column in wanted:
        if column not in columns:
            there = ", ".join(columns)
            raise MissingColumnError(f"{name}: {what} `{column}` is not in the data; columns are: {there}")
