"""ODF schemas and Arrow schemas: conversions, the legacy form, types that Parquet forgets (RFC-016)."""

import struct
from typing import Final

import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_encoding import strip_encoding
from kamu_assets.odf.data import DataSchema, UnsupportedTypeError
from kamu_assets.odf.from_arrow import from_arrow
from kamu_assets.odf.to_arrow import to_arrow

__all__ = [
    "MalformedArrowSchemaError",
    "UnsupportedTypeError",
    "from_arrow",
    "read_legacy_schema",
    "restore_arrow_types",
    "strip_encoding",
    "to_arrow",
    "upgrade_legacy_schema",
]

# A FlatBuffers table `Message { version: V5, header: Schema at the end of this prefix }`: root offset, vtable of three
# fields, padding; then the table. Its length keeps what follows aligned to eight bytes.
_MESSAGE: Final = struct.Struct("<I HHHHH xx i I h B xxxxx")
_HEADER_FIELD: Final = 20
_V5: Final = 4
_SCHEMA: Final = 1
_CONTINUATION: Final = b"\xff\xff\xff\xff"


class MalformedArrowSchemaError(InvalidError):
    """The bytes are no Arrow schema."""


def read_legacy_schema(raw: bytes) -> pa.Schema:
    """Read `rawArrowSchema`: a bare FlatBuffers table that Arrow itself knows only inside of a message."""
    if len(raw) < struct.calcsize("<I"):
        raise MalformedArrowSchemaError("an Arrow schema needs at least four bytes")
    (root,) = struct.unpack_from("<I", raw)
    header = _MESSAGE.size - _HEADER_FIELD + root
    if root >= len(raw):
        raise MalformedArrowSchemaError("the Arrow schema points outside of itself")
    message = _MESSAGE.pack(16, 10, 12, 8, 10, 4, 12, header, _V5, _SCHEMA) + raw
    message += bytes(-len(message) % 8)
    try:
        return pa.ipc.read_schema(pa.py_buffer(_CONTINUATION + struct.pack("<i", len(message)) + message))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MalformedArrowSchemaError(f"not an Arrow schema: {error}") from error


def upgrade_legacy_schema(raw: bytes) -> DataSchema:
    """The `schema` that a SetDataSchema with `rawArrowSchema` stands for."""
    try:
        return from_arrow(read_legacy_schema(raw))
    except UnicodeDecodeError as error:
        raise MalformedArrowSchemaError(f"a name is not UTF-8: {error}") from error


def restore_arrow_types(batch: "pa.RecordBatch | pa.Table", schema: pa.Schema) -> "pa.RecordBatch | pa.Table":
    """Give columns the types that Parquet has no name for and shows as bare integers.

    `schema` is the one in the file's `ARROW:schema` metadata. Other differences are left as they are.
    """
    declared = {field.name: field.type for field in schema}
    fields = [field.with_type(_restored(field.type, declared.get(field.name, field.type))) for field in batch.schema]
    restored = pa.schema(fields, metadata=batch.schema.metadata)
    return batch if restored.equals(batch.schema) else batch.cast(restored)


def _restored(found: pa.DataType, declared: pa.DataType) -> pa.DataType:
    if pt.is_struct(found) and pt.is_struct(declared) and found.num_fields == declared.num_fields:
        pairs = zip(found, declared, strict=True)
        return pa.struct([field.with_type(_restored(field.type, other.type)) for field, other in pairs])
    if pt.is_list(found) and _has_items(declared):
        return pa.list_(found.value_field.with_type(_restored(found.value_type, declared.value_type)))
    if pt.is_large_list(found) and _has_items(declared):
        return pa.large_list(found.value_field.with_type(_restored(found.value_type, declared.value_type)))
    integer = pt.is_int32(found) or pt.is_int64(found)
    return declared if integer and pt.is_temporal(declared) and declared.bit_width == found.bit_width else found


def _has_items(data_type: pa.DataType) -> bool:
    return bool(pt.is_list(data_type) or pt.is_large_list(data_type))
