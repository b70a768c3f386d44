"""ODF schemas as Arrow schemas (RFC-016)."""

from typing import Final

import pyarrow as pa

from kamu_assets.odf import data as odf
from kamu_assets.odf.arrow_encoding import Encoding

_UNITS: Final = dict(zip(odf.TimeUnit, ("s", "ms", "us", "ns"), strict=True))
_PLAIN: Final[dict[type, pa.DataType]] = {
    odf.NullType: pa.null(),
    odf.BoolType: pa.bool_(),
    odf.Int8Type: pa.int8(),
    odf.Int16Type: pa.int16(),
    odf.Int32Type: pa.int32(),
    odf.Int64Type: pa.int64(),
    odf.UInt8Type: pa.uint8(),
    odf.UInt16Type: pa.uint16(),
    odf.UInt32Type: pa.uint32(),
    odf.UInt64Type: pa.uint64(),
    odf.Float16Type: pa.float16(),
    odf.Float32Type: pa.float32(),
    odf.Float64Type: pa.float64(),
}
_DECIMALS: Final = ((32, 9, pa.decimal32), (64, 18, pa.decimal64), (128, 38, pa.decimal128), (256, 76, pa.decimal256))
_DEFAULT_DECIMAL_BITS: Final = 128
_MAX_SCALE: Final = 127
_MAX_LENGTH: Final = 2**31 - 1
_DEFAULT: Final = Encoding()


def to_arrow(schema: odf.DataSchema) -> pa.Schema:
    """The Arrow schema of data with this meaning, in the default memory layout or that of the hints."""
    return pa.schema([_field(field, field.name) for field in schema.fields])


def _field(field: odf.DataField, path: str) -> pa.Field:
    return _nullable(field.name, field.type, path, Encoding.read(field.extra))


def _nullable(name: str, data_type: odf.DataType, path: str, encoding: Encoding = _DEFAULT) -> pa.Field:
    if isinstance(data_type, odf.OptionType):
        return pa.field(name, _type(data_type.inner, path, encoding))
    # Arrow knows no type of nothing but nulls that has none.
    return pa.field(name, _type(data_type, path, encoding), nullable=isinstance(data_type, odf.NullType))


def _type(data_type: odf.DataType, path: str, encoding: Encoding) -> pa.DataType:  # noqa: PLR0911 - one line for each kind
    match data_type:
        case odf.StringType():
            return _string(encoding)
        case odf.BinaryType():
            return _binary(data_type, path, encoding)
        case odf.DateType():
            return pa.date64() if encoding.date_in_millis else pa.date32()
        case odf.DecimalType():
            return _decimal(data_type, path, encoding)
        case odf.TimestampType() | odf.TimeType() | odf.DurationType():
            return _temporal(data_type)
        case odf.ListType():
            return _list(data_type, path, encoding)
        case odf.MapType():
            return _map(data_type, path)
        case odf.StructType():
            return pa.struct([_field(field, f"{path}.{field.name}") for field in data_type.fields])
        case odf.OptionType():
            raise odf.UnsupportedTypeError(path, "Option of Option", reason="Arrow has only one kind of null")
        case _:
            return _PLAIN[type(data_type)]


def _temporal(data_type: odf.TimestampType | odf.TimeType | odf.DurationType) -> pa.DataType:
    unit = data_type.unit or odf.TimeUnit.MILLISECOND
    match data_type:
        case odf.TimestampType():
            return pa.timestamp(_UNITS[unit], data_type.timezone or "UTC")
        case odf.DurationType():
            return pa.duration(_UNITS[unit])
        case odf.TimeType():
            coarse = unit in {odf.TimeUnit.SECOND, odf.TimeUnit.MILLISECOND}
            return pa.time32(_UNITS[unit]) if coarse else pa.time64(_UNITS[unit])


def _string(encoding: Encoding) -> pa.DataType:
    if encoding.view:
        return pa.string_view()
    return pa.large_string() if encoding.large else pa.string()


def _binary(data_type: odf.BinaryType, path: str, encoding: Encoding) -> pa.DataType:
    if data_type.fixed_length is not None:
        return pa.binary(_length(data_type.fixed_length, path, "Binary"))
    if encoding.view:
        return pa.binary_view()
    return pa.large_binary() if encoding.large else pa.binary()


def _decimal(data_type: odf.DecimalType, path: str, encoding: Encoding) -> pa.DataType:
    name = f"Decimal({data_type.precision}, {data_type.scale})"
    if abs(data_type.scale) > _MAX_SCALE:
        raise odf.UnsupportedTypeError(path, name, reason=f"the scale must be between -{_MAX_SCALE} and {_MAX_SCALE}")
    for bits, digits, decimal in _DECIMALS:
        if bits >= (encoding.decimal_bits or _DEFAULT_DECIMAL_BITS) and 1 <= data_type.precision <= digits:
            return decimal(data_type.precision, data_type.scale)
    raise odf.UnsupportedTypeError(path, name, reason="the precision must be between 1 and 76")


def _list(data_type: odf.ListType, path: str, encoding: Encoding) -> pa.DataType:
    item = _nullable("item", data_type.item_type, f"{path}.item")
    if data_type.fixed_length is not None:
        return pa.list_(item, _length(data_type.fixed_length, path, "List"))
    if encoding.view:
        return pa.large_list_view(item) if encoding.large else pa.list_view(item)
    return pa.large_list(item) if encoding.large else pa.list_(item)


def _map(data_type: odf.MapType, path: str) -> pa.DataType:
    key = _nullable("keys", data_type.key_type, f"{path}.keys")
    if key.nullable:
        raise odf.UnsupportedTypeError(f"{path}.keys", data_type.key_type.kind, reason="a key is never null")
    value = _nullable("values", data_type.value_type, f"{path}.values")
    return pa.map_(key, value, keys_sorted=bool(data_type.keys_sorted))


def _length(length: int, path: str, kind: str) -> int:
    if length > _MAX_LENGTH:
        raise odf.UnsupportedTypeError(path, f"{kind} of length {length}", reason=f"Arrow allows {_MAX_LENGTH} at most")
    return length
