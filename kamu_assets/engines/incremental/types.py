"""Types as this engine keeps and writes them: one for each kind of text, whatever file or function it came from."""

import pyarrow as pa
import pyarrow.types as pt


def plain(data_type: pa.DataType) -> pa.DataType:
    """A type without views and dictionaries."""
    if pt.is_dictionary(data_type):
        return plain(data_type.value_type)
    if pt.is_string_view(data_type):
        return pa.string()
    if pt.is_binary_view(data_type):
        return pa.binary()
    return data_type


def with_text_views(schema: pa.Schema) -> pa.Schema:
    """The same columns for a reader that is to leave texts where they are."""
    return pa.schema([field.with_type(pa.string_view()) if pt.is_string(field.type) else field for field in schema])


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """A schema of plain types without metadata."""
    return pa.schema([pa.field(field.name, plain(field.type), field.nullable) for field in schema])


def plain_table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Rows with the plain types of this schema, in one piece."""
    table = pa.Table.from_batches(batches, schema=schema)
    wanted = plain_schema(schema)
    return (table if table.schema.equals(wanted) else table.cast(wanted)).combine_chunks()


def with_types(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same columns under another schema; no copy where the types agree already."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """No rows."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
