"""Columns of a slice: what input may bring, the node adds and the dataset demands (ODF: AddData, SetDataSchema)."""

from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.coordinator.ingest.column_names import check_reserved
from kamu_assets.coordinator.ingest.errors import (
    BadEventTimeError,
    IncompatibleSchemaError,
    UnsupportedColumnTypeError,
)
from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data import DataField, DataSchema, DatasetVocabulary, OptionType

MILLIS_UTC = pa.timestamp("ms", "UTC")


def check_input_columns(schema: pa.Schema, vocab: DatasetVocabulary, *, brings_op: bool, name: str) -> None:
    """System columns must not be there yet, event time must be a time."""
    check_reserved(schema.names, vocab, brings_op=brings_op, name=name)
    if vocab.event_time_column in schema.names:
        kind = schema.field(vocab.event_time_column).type
        if not (pt.is_date(kind) or pt.is_timestamp(kind)):
            raise BadEventTimeError(
                f"{name}: event time column `{vocab.event_time_column}` must be a date or a timestamp, not {kind}"
            )


def slice_schema(input_schema: pa.Schema, vocab: DatasetVocabulary) -> pa.Schema:
    """All columns of a slice, for normalized input."""
    data = [field for field in input_schema if field.name not in (vocab.event_time_column, vocab.operation_type_column)]
    return pa.schema(
        [
            pa.field(vocab.offset_column, pa.int64(), nullable=False),
            pa.field(vocab.operation_type_column, pa.int32(), nullable=False),
            pa.field(vocab.system_time_column, MILLIS_UTC, nullable=False),
            input_schema.field(vocab.event_time_column).with_nullable(False),
            *data,
        ]
    )


def describe_schema(schema: pa.Schema, *, name: str) -> DataSchema:
    """The ODF schema of a slice; refuses columns that a dataset cannot hold."""
    # As bytes: schemas count as equal although metadata of their fields differs.
    return _described(schema.serialize().to_pybytes(), name)


@lru_cache(maxsize=64)
def _described(serialized: bytes, name: str) -> DataSchema:
    schema = pa.ipc.read_schema(pa.py_buffer(serialized))
    for field in schema:
        _check_storable(field, name)
    try:
        return from_arrow(schema)
    except InvalidError as error:
        raise UnsupportedColumnTypeError(f"{name}: {error}") from error


def fit_schema(schema: pa.Schema, dataset: DataSchema, *, name: str) -> pa.Schema:
    """The slice's schema with the nullability of the dataset, or IncompatibleSchemaError."""
    found = describe_schema(schema, name=name)
    wanted = [(field.name, _bare(field)) for field in dataset.fields]
    given = [(field.name, _bare(field)) for field in found.fields]
    if wanted != given:
        raise IncompatibleSchemaError(f"{name}: {_difference(dataset, found)}")
    fitted = [
        field.with_nullable(isinstance(wish.type, OptionType))
        for field, wish in zip(schema, dataset.fields, strict=True)
    ]
    return pa.schema(fitted)


def _check_storable(field: pa.Field, name: str) -> None:
    for kind in _types_inside(field.type):
        if pt.is_null(kind):
            raise UnsupportedColumnTypeError(
                f"{name}: the type of column `{field.name}` cannot be inferred: it has no values; "
                "declare it in the schema of the read step"
            )
        if pt.is_struct(kind) and kind.num_fields == 0:
            raise UnsupportedColumnTypeError(
                f"{name}: the type of column `{field.name}` cannot be inferred: its objects have no keys; "
                "declare it in the schema of the read step"
            )
        if pt.is_decimal(kind) and not 0 <= kind.scale <= kind.precision:
            raise UnsupportedColumnTypeError(
                f"{name}: column `{field.name}` has type {kind}; the scale must be between 0 and the precision"
            )
        if pt.is_dictionary(kind) or pt.is_map(kind) or pt.is_duration(kind) or pt.is_interval(kind):
            raise UnsupportedColumnTypeError(f"{name}: column `{field.name}` has type {kind}, which is not supported")
        if pt.is_union(kind) or pt.is_run_end_encoded(kind) or _is_list_of_struct(kind):
            raise UnsupportedColumnTypeError(f"{name}: column `{field.name}` has type {kind}, which is not supported")


def _types_inside(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    if pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        return
    for index in range(kind.num_fields):
        yield from _types_inside(kind.field(index).type)


def _is_list_of_struct(kind: pa.DataType) -> bool:
    is_list = pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
    return bool(is_list and pt.is_struct(kind.value_type))


def _bare(field: DataField) -> object:
    return field.type.inner if isinstance(field.type, OptionType) else field.type


def _difference(dataset: DataSchema, found: DataSchema) -> str:
    """Which column is to blame, with the old and the new type."""
    wanted = {field.name: _bare(field) for field in dataset.fields}
    given = {field.name: _bare(field) for field in found.fields}
    for column, old in wanted.items():
        if column not in given:
            return f"column `{column}` ({_name(old)}) of the dataset is missing"
        if given[column] != old:
            return f"column `{column}` is {_name(old)} in the dataset, but {_name(given[column])} in the new data"
    for column, new in given.items():
        if column not in wanted:
            return f"column `{column}` ({_name(new)}) is not in the dataset"
    return f"columns are in another order: {', '.join(given)} instead of {', '.join(wanted)}"


def _name(kind: object) -> str:
    parts = kind.model_dump(exclude_none=True, by_alias=True) if hasattr(kind, "model_dump") else {"kind": str(kind)}
    details = ", ".join(f"{key}: {value}" for key, value in parts.items() if key != "kind")
    return f"{parts['kind']}({details})" if details else str(parts["kind"])
