"""ODF schemas as Arrow schemas (RFC-016)."""

from typing import Final

import pyarrow as pa

from kamu_assets.odf.arrow_encoding import Encoding
from kamu_assets.odf.data import (
    BinaryType,
    BoolType,
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    DurationType,
    Float16Type,
    Float32Type,
    Float64Type,
    Int8Type,
    Int16Type,
    Int32Type,
    Int64Type,
    ListType,
    MapType,
    NullType,
    OptionType,
    StringType,
    StructType,
    TimestampType,
    TimeType,
    TimeUnit,
    UInt8Type,
    UInt16Type,
    UInt32Type,
    UInt64Type,
    UnsupportedTypeError,
)

_UNITS: Final = dict(zip(TimeUnit, ("s", "ms", "us", "ns"), strict=True))
_PLAIN: Final[dict[type, pa.DataType]] = {
    NullType: pa.null(),
    BoolType: pa.bool_(),
    Int8Type: pa.int8(),
    Int16Type: pa.int16(),
    Int32Type: pa.int32(),
    Int64Type: pa.int64(),
    UInt8Type: pa.uint8(),
    UInt16Type: pa.uint16(),
    UInt32Type: pa.uint32(),
    UInt64Type: pa.uint64(),
    Float16Type: pa.float16(),
    Float32Type: pa.float32(),
    Float64Type: pa.float64(),
}
_DECIMALS: Final = ((32, 9, pa.decimal32), (64, 18, pa.decimal64), (128, 38, pa.decimal128), (256, 76, pa.decimal256))
_DEFAULT_DECIMAL_BITS: Final = 128
_MAX_SCALE: Final = 127
_MAX_LENGTH: Final = 2**31 - 1
_DEFAULT: Final = Encoding()


def to_arrow(schema: DataSchema) -> pa.Schema:
    """The Arrow schema of data with this meaning, in the default memory layout or that of the hints."""
    return pa.schema([_field(field, field.name) for field in schema.fields])


def _field(field: DataField, path: str) -> pa.Field:
    return _nullable(field.name, field.type, path, Encoding.read(field.extra))


def _nullable(name: str, data_type: DataType, path: str, encoding: Encoding = _DEFAULT) -> pa.Field:
    if isinstance(data_type, OptionType):
        return pa.field(name, _type(data_type.inner, path, encoding))
    # Arrow knows no type of nothing but nulls that has none.
    return pa.field(name, _type(data_type, path, encoding), nullable=isinstance(data_type, NullType))


def _type(data_type: DataType, path: str, encoding: Encoding) -> pa.DataType:  # noqa: PLR0911 - one line for each kind
    match data_type:
        case StringType():
            return _string(encoding)
        case BinaryType():
            return _binary(data_type, path, encoding)
        case DateType():
            return pa.date64() if encoding.date_in_millis else pa.date32()
        case DecimalType():
            return _decimal(data_type, path, encoding)
        case TimestampType() | TimeType() | DurationType():
            return _temporal(data_type)
        case ListType():
            return _list(data_type, path, encoding)
        case MapType():
            return _map(data_type, path)
        case StructType():
            return pa.struct([_field(field, f"{path}.{field.name}") for field in data_type.fields])
        case OptionType():
            raise UnsupportedTypeError(path, "Option of Option", reason="Arrow has only one kind of null")
        case _:
            return _PLAIN[type(data_type)]


def _temporal(data_type: TimestampType | TimeType | DurationType) -> pa.DataType:
    unit = data_type.unit or TimeUnit.MILLISECOND
    match data_type:
        case TimestampType():
            return pa.timestamp(_UNITS[unit], data_type.timezone or "UTC")
        case DurationType():
            return pa.duration(_UNITS[unit])
        case TimeType():
            coarse = unit in {TimeUnit.SECOND, TimeUnit.MILLISECOND}
            return pa.time32(_UNITS[unit]) if coarse else pa.time64(_UNITS[unit])


def _string(encoding: Encoding) -> pa.DataType:
    if encoding.view:
        return pa.string_view()
    return pa.large_string() if encoding.large else pa.string()


def _binary(data_type: BinaryType, path: str, encoding: Encoding) -> pa.DataType:
    if data_type.fixed_length is not None:
        return pa.binary(_length(data_type.fixed_length, path, "Binary"))
    if encoding.view:
        return pa.binary_view()
    return pa.large_binary() if encoding.large else pa.binary()


def _decimal(data_type: DecimalType, path: str, encoding: Encoding) -> pa.DataType:
    name = f"Decimal({data_type.precision}, {data_type.scale})"
    if abs(data_type.scale) > _MAX_SCALE:
        raise UnsupportedTypeError(path, name, reason=f"the scale must be between -{_MAX_SCALE} and {_MAX_SCALE}")
    for bits, digits, decimal in _DECIMALS:
        if bits >= (encoding.decimal_bits or _DEFAULT_DECIMAL_BITS) and 1 <= data_type.precision <= digits:
            return decimal(data_type.precision, data_type.scale)
    raise UnsupportedTypeError(path, name, reason="the precision must be between 1 and 76")


def _list(data_type: ListType, path: str, encoding: Encoding) -> pa.DataType:
    item = _nullable("item", data_type.item_type, f"{path}.item")
    if data_type.fixed_length is not None:
        return pa.list_(item, _length(data_type.fixed_length, path, "List"))
    if encoding.view:
        return pa.large_list_view(item) if encoding.large else pa.list_view(item)
    return pa.large_list(item) if encoding.large else pa.list_(item)


def _map(data_type: MapType, path: str) -> pa.DataType:
    key = _nullable("keys", data_type.key_type, f"{path}.keys")
    if key.nullable:
        raise UnsupportedTypeError(f"{path}.keys", data_type.key_type.kind, reason="a key is never null")
    value = _nullable("values", data_type.value_type, f"{path}.values")
    return pa.map_(key, value, keys_sorted=bool(data_type.keys_sorted))


def _length(length: int, path: str, kind: str) -> int:
    if length > _MAX_LENGTH:
        raise UnsupportedTypeError(path, f"{kind} of length {length}", reason=f"Arrow allows {_MAX_LENGTH} at most")
    return length
