"""How the schema of an answer is written: five ways, all from its ODF form."""

from enum import StrEnum
from typing import assert_never

from pydantic import JsonValue

from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.serde.yaml_text import dump_document
from kamu_assets.query.formats.arrow_json import arrow_json
from kamu_assets.query.formats.parquet_schema import parquet_json, parquet_text


class SchemaFormat(StrEnum):
    """How a schema is written."""

    ARROW_JSON = "ArrowJson"
    ODF_JSON = "OdfJson"
    ODF_YAML = "OdfYaml"
    PARQUET = "Parquet"
    PARQUET_JSON = "ParquetJson"


def describe_schema(schema: DataSchema, schema_format: SchemaFormat) -> JsonValue:
    """An object, or a text in the formats that are no JSON."""
    match schema_format:
        case SchemaFormat.ARROW_JSON:
            return arrow_json(schema)
        case SchemaFormat.ODF_JSON:
            return _odf_json(schema)
        case SchemaFormat.ODF_YAML:
            return dump_document(_odf_json(schema))
        case SchemaFormat.PARQUET:
            return parquet_text(schema)
        case SchemaFormat.PARQUET_JSON:
            return parquet_json(schema)
        case _:
            assert_never(schema_format)


def odf_schema(ipc: bytes) -> DataSchema:
    """The meaning of an Arrow schema, given as an IPC message; UnsupportedTypeError for types that ODF has not."""
    import pyarrow as pa

    from kamu_assets.odf.arrow_schema import from_arrow

    schema = pa.ipc.read_schema(pa.py_buffer(ipc))
    # A dictionary is a way to keep values, not another kind of them.
    plain = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in schema
    ]
    return from_arrow(pa.schema(plain))


def _odf_json(schema: DataSchema) -> dict[str, JsonValue]:
    return schema.model_dump(mode="json", by_alias=True, exclude_none=True)
