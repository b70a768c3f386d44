"""The columns that rules may name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import DataSchema, DatasetVocabulary, DataType, OptionType

_SHOWN = 20


class UnknownColumnError(InvalidError):
    """A rule names a column that the dataset does not have."""

    def __init__(self, column: str, known: Sequence[str]) -> None:
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        super().__init__(f"there is no column {column!r}; there are {', '.join(known[:_SHOWN])}{more}")


class UnfitBoundError(InvalidError):
    """A bound is no value of its column."""

    def __init__(self, column: str, kind: str, bound: object) -> None:
        super().__init__(f"the bound {bound!r} cannot be compared with {column!r}, which is {kind}")


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset as rules see it: types by column, and what the system columns are called."""

    types: Mapping[str, DataType]
    vocab: DatasetVocabulary

    @classmethod
    def of(cls, schema: DataSchema, vocab: DatasetVocabulary) -> "Table":
        return cls({field.name: _inner(field.type) for field in schema.fields}, vocab)

    def type_of(self, column: str) -> DataType:
        """UnknownColumnError without such a column."""
        if column not in self.types:
            raise UnknownColumnError(column, list(self.types))
        return self.types[column]

    @property
    def system_columns(self) -> frozenset[str]:
        """In which a retraction need not equal what it retracts: a snapshot's has the time of the snapshot."""
        vocab = self.vocab
        return frozenset(
            {vocab.offset_column, vocab.operation_type_column, vocab.system_time_column, vocab.event_time_column}
        )

    def needs_pairs(self, columns: Iterable[str]) -> bool:
        """Whether only row by row can be told what holds of these columns."""
        return self.has_operations and not self.system_columns.isdisjoint(columns)

    @property
    def has_operations(self) -> bool:
        """Whether rows can be retracted: datasets of old have no such column."""
        return self.vocab.operation_type_column in self.types


def _inner(type_: DataType) -> DataType:
    return type_.inner if isinstance(type_, OptionType) else type_
