"""A schema as text, in the formats of `kamu-node inspect schema`."""

import json

from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.ddl_text import ddl_columns
from kamu_assets.query.formats.schemas import SchemaFormat, describe_schema

_FORMATS = {
    "arrow-json": SchemaFormat.ARROW_JSON,
    "odf-json": SchemaFormat.ODF_JSON,
    "odf-yaml": SchemaFormat.ODF_YAML,
    "parquet": SchemaFormat.PARQUET,
    "parquet-json": SchemaFormat.PARQUET_JSON,
}


def schema_text(schema: DataSchema, form: str) -> str:
    """Columns one per line, as in `ddlSchema` of a manifest, or a document."""
    if form == "ddl":
        return ",\n".join(ddl_columns(schema))
    described = describe_schema(schema, _FORMATS[form])
    return described.rstrip() if isinstance(described, str) else json.dumps(described, ensure_ascii=False, indent=2)
