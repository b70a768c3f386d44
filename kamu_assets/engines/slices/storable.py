"""Arrow types and what Parquet keeps of them.

Dictionaries are an encoding, not a type: rows lose them before they are written and hashed. Three types have no Parquet
type of their own; they are written as bare integers, and only the Arrow schema inside the file tells what they are.
That is what upstream does, and readers give those rows the same logical hash.
"""

import base64
from collections.abc import Callable

import pyarrow as pa
import pyarrow.types as pt

_TypeMap = Callable[[pa.DataType], pa.DataType]


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a slice whose rows have these types."""
    return _mapped(schema, _without_dictionary)


def file_schema(schema: pa.Schema) -> pa.Schema:
    """The types under which a storable schema goes to the Parquet writer."""
    return _mapped(schema, _without_logical_type).remove_metadata()


def schema_hint(schema: pa.Schema) -> dict[str, str]:
    """The entry in the file's metadata that tells the Arrow types."""
    return {"ARROW:schema": base64.b64encode(schema.serialize()).decode()}


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows as `schema` has them; no copy where the types agree already."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def has_floats(schema: pa.Schema) -> bool:
    """Whether a value may be NaN, which statistics of Parquet do not tell."""
    return any(_holds_floats(field.type) for field in schema)


def has_structs(schema: pa.Schema) -> bool:
    return any(pt.is_struct(field.type) for field in schema)


def _holds_floats(data_type: pa.DataType) -> bool:
    if pt.is_floating(data_type):
        return True
    return any(_holds_floats(data_type.field(index).type) for index in range(data_type.num_fields))


def _mapped(schema: pa.Schema, change: _TypeMap) -> pa.Schema:
    return pa.schema([field.with_type(_deep(field.type, change)) for field in schema], metadata=schema.metadata)


def _deep(data_type: pa.DataType, change: _TypeMap) -> pa.DataType:
    data_type = change(data_type)
    if pt.is_struct(data_type):
        return pa.struct([field.with_type(_deep(field.type, change)) for field in data_type])
    if not (pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_fixed_size_list(data_type)):
        return data_type
    item = data_type.value_field.with_type(_deep(data_type.value_type, change))
    if pt.is_fixed_size_list(data_type):
        return pa.list_(item, data_type.list_size)
    return pa.large_list(item) if pt.is_large_list(data_type) else pa.list_(item)


def _without_dictionary(data_type: pa.DataType) -> pa.DataType:
    return data_type.value_type if pt.is_dictionary(data_type) else data_type


def _without_logical_type(data_type: pa.DataType) -> pa.DataType:
    if pt.is_date64(data_type) or (pt.is_timestamp(data_type) and data_type.unit == "s"):
        return pa.int64()
    return pa.int32() if data_type == pa.time32("s") else data_type
