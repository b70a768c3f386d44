"""Arrow types as they come back from a Parquet file.

Some types do not survive the trip: seconds become milliseconds, dictionaries are an encoding. The logical hash speaks
of rows as they are read back, so rows get those types before they are written and hashed.
"""

import pyarrow as pa
import pyarrow.types as pt


def storable_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(storable_type(field.type)) for field in schema], metadata=schema.metadata)


def storable_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same rows under a storable `schema`; no copy where the types agree already."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def storable_type(data_type: pa.DataType) -> pa.DataType:
    if pt.is_dictionary(data_type):
        return storable_type(data_type.value_type)
    if pt.is_time32(data_type):
        return pa.time32("ms")
    if pt.is_timestamp(data_type) and data_type.unit == "s":
        return pa.timestamp("ms", data_type.tz)
    if pt.is_struct(data_type):
        return pa.struct([field.with_type(storable_type(field.type)) for field in data_type])
    return _storable_list(data_type)


def has_structs(schema: pa.Schema) -> bool:
    return any(pt.is_struct(field.type) for field in schema)


def _storable_list(data_type: pa.DataType) -> pa.DataType:
    if not (pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_fixed_size_list(data_type)):
        return data_type
    item = data_type.value_field.with_type(storable_type(data_type.value_type))
    if pt.is_fixed_size_list(data_type):
        return pa.list_(item, data_type.list_size)
    return pa.large_list(item) if pt.is_large_list(data_type) else pa.list_(item)
