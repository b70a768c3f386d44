"""Whether the columns of a slice are those of its dataset (ODF: SetDataSchema, system columns)."""

import base64
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data import DataSchema, DatasetVocabulary, DataType, OptionType
from kamu_assets.odf.defaults import with_defaults


def embedded_schema(file: Any) -> pa.Schema:
    """The schema that the writer meant: Parquet alone has no name for some types."""
    embedded = (file.metadata.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(embedded))) if embedded else file.schema_arrow


def schema_fault(schema: pa.Schema, dataset: DataSchema | None, vocab: DatasetVocabulary) -> str | None:
    """What is wrong with the columns; physical variants of a type are one type, nullability is for the rows to say."""
    names = schema.names
    system = (vocab.offset_column, vocab.operation_type_column, vocab.system_time_column, vocab.event_time_column)
    for name in system:
        if name not in names:
            return f"column `{name}` is missing"
    if len(set(names)) < len(names):
        return "two columns have one name"
    if schema.field(vocab.offset_column).type != pa.int64():
        return f"column `{vocab.offset_column}` is {schema.field(vocab.offset_column).type}, not int64"
    if dataset is None:
        return None
    try:
        return _first_difference(_plain_types(dataset), _plain_types(from_arrow(schema)))
    except InvalidError as error:
        return str(error)


def columns_without_nulls(schema: pa.Schema, dataset: DataSchema | None) -> Iterator[str]:
    """Columns whose nulls have to be counted: required in the dataset, nullable in the file."""
    for column in dataset.fields if dataset is not None else ():
        index = schema.get_field_index(column.name)
        if not isinstance(column.type, OptionType) and index >= 0 and schema.field(index).nullable:
            yield column.name


def _plain_types(schema: DataSchema) -> dict[str, DataType]:
    """Types with the units and zones that a schema may leave out, whether values may be missing or not."""
    types = {column.name: with_defaults(column.type) for column in schema.fields}
    return {name: kind.inner if isinstance(kind, OptionType) else kind for name, kind in types.items()}


def _first_difference(wanted: dict[str, DataType], given: dict[str, DataType]) -> str | None:
    for name, kind in wanted.items():
        if name not in given:
            return f"column `{name}` is missing"
        if given[name] != kind:
            return f"column `{name}` is {_text(given[name])}, in the dataset {_text(kind)}"
    for name in given:
        if name not in wanted:
            return f"column `{name}` is not in the dataset"
    if list(wanted) != list(given):
        return f"columns are in another order: {', '.join(given)} instead of {', '.join(wanted)}"
    return None


def _text(kind: DataType) -> str:
    return kind.model_dump_json(exclude_none=True, by_alias=True)
