"""Arrow schemas as ODF schemas (RFC-016)."""

from typing import Any, Final

import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.odf import data as odf
from kamu_assets.odf.arrow_encoding import Encoding

_UNITS: Final = dict(zip(("s", "ms", "us", "ns"), odf.TimeUnit, strict=True))
_PLAIN: Final[dict[pa.DataType, odf.DataType]] = {
    pa.null(): odf.NullType(),
    pa.bool_(): odf.BoolType(),
    pa.int8(): odf.Int8Type(),
    pa.int16(): odf.Int16Type(),
    pa.int32(): odf.Int32Type(),
    pa.int64(): odf.Int64Type(),
    pa.uint8(): odf.UInt8Type(),
    pa.uint16(): odf.UInt16Type(),
    pa.uint32(): odf.UInt32Type(),
    pa.uint64(): odf.UInt64Type(),
    pa.float16(): odf.Float16Type(),
    pa.float32(): odf.Float32Type(),
    pa.float64(): odf.Float64Type(),
    pa.date32(): odf.DateType(),
    pa.date64(): odf.DateType(),
    pa.string(): odf.StringType(),
    pa.large_string(): odf.StringType(),
    pa.string_view(): odf.StringType(),
    pa.binary(): odf.BinaryType(),
    pa.large_binary(): odf.BinaryType(),
    pa.binary_view(): odf.BinaryType(),
}


def from_arrow(schema: pa.Schema, *, keep_encoding: bool = False) -> odf.DataSchema:
    """The meaning of an Arrow schema; with `keep_encoding` also, as hints, its memory layout.

    Hints belong to fields: the layout of list items and map values is not kept.
    """
    return odf.DataSchema(fields=tuple(_field(field, field.name, keep_encoding=keep_encoding) for field in schema))


def _field(field: pa.Field, path: str, *, keep_encoding: bool) -> odf.DataField:
    data_type = _nullable(field, path, keep_encoding=keep_encoding)
    return odf.DataField(
        name=field.name, type=data_type, extra=Encoding.of(field.type).to_extra() if keep_encoding else None
    )


def _nullable(field: pa.Field, path: str, *, keep_encoding: bool) -> odf.DataType:
    data_type = _type(field.type, path, keep_encoding=keep_encoding)
    return odf.OptionType(inner=data_type) if field.nullable else data_type


def _type(data_type: pa.DataType, path: str, *, keep_encoding: bool) -> odf.DataType:
    if isinstance(data_type, pa.BaseExtensionType):
        return _type(data_type.storage_type, path, keep_encoding=keep_encoding)
    if data_type.num_fields > 0 or pt.is_struct(data_type):
        return _nested(data_type, path, keep_encoding=keep_encoding)
    return _PLAIN.get(data_type) or _parameterized(data_type, path)


def _parameterized(data_type: pa.DataType, path: str) -> odf.DataType:
    if pt.is_timestamp(data_type):
        return odf.TimestampType(unit=_UNITS[data_type.unit], timezone=data_type.tz)
    if pt.is_time(data_type):
        return odf.TimeType(unit=_UNITS[data_type.unit])
    if pt.is_duration(data_type):
        return odf.DurationType(unit=_UNITS[data_type.unit])
    if pt.is_decimal(data_type):
        return odf.DecimalType(precision=data_type.precision, scale=data_type.scale)
    if pt.is_fixed_size_binary(data_type):
        return odf.BinaryType(fixed_length=data_type.byte_width)
    raise odf.UnsupportedTypeError(path, str(data_type), reason="ODF has no such type")


def _nested(data_type: pa.DataType, path: str, *, keep_encoding: bool) -> odf.DataType:
    if pt.is_struct(data_type):
        fields = (_field(field, f"{path}.{field.name}", keep_encoding=keep_encoding) for field in data_type)
        return odf.StructType(fields=tuple(fields))
    if pt.is_map(data_type):
        return _map(data_type, path, keep_encoding=keep_encoding)
    if _is_list(data_type):
        item = _nullable(data_type.value_field, f"{path}.item", keep_encoding=keep_encoding)
        return odf.ListType(item_type=item, fixed_length=_list_size(data_type))
    raise odf.UnsupportedTypeError(path, str(data_type), reason="ODF has no such type")


def _map(data_type: Any, path: str, *, keep_encoding: bool) -> odf.MapType:
    for field in (data_type.key_field, data_type.item_field):
        encoding = Encoding.of(field.type)
        if encoding.view or encoding.large or encoding.date_in_millis:
            reason = "map entries have no room for an encoding hint"
            raise odf.UnsupportedTypeError(f"{path}.{field.name}", str(field.type), reason=reason)
    return odf.MapType(
        key_type=_type(data_type.key_type, f"{path}.keys", keep_encoding=keep_encoding),
        value_type=_nullable(data_type.item_field, f"{path}.values", keep_encoding=keep_encoding),
        keys_sorted=data_type.keys_sorted,
    )


def _is_list(data_type: pa.DataType) -> bool:
    contiguous = pt.is_list(data_type) or pt.is_large_list(data_type) or pt.is_fixed_size_list(data_type)
    return bool(contiguous or pt.is_list_view(data_type) or pt.is_large_list_view(data_type))


def _list_size(data_type: Any) -> int | None:
    return data_type.list_size if pt.is_fixed_size_list(data_type) else None
