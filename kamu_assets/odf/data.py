"""What data looks like: logical types, schemas, the vocabulary of system columns (ODF: DataSchema, RFC-016)."""

import json
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, JsonValue
from pydantic_core import CoreSchema, core_schema

from kamu_assets.errors import InvalidError
from kamu_assets.odf.typedef import ByKind, ListOf, OdfEnum, OdfModel

UInt32 = Annotated[int, Field(ge=0, lt=2**32)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
UInt64 = Annotated[int, Field(ge=0, lt=2**64)]


class UnsupportedTypeError(InvalidError):
    """A column has a type that ODF cannot describe or hash."""

    def __init__(self, column: str, type_name: str, *, reason: str) -> None:
        super().__init__(f"column `{column}` has type {type_name}: {reason}")
        self.column = column
        self.type_name = type_name


class TimeUnit(OdfEnum):
    SECOND = "Second"
    MILLISECOND = "Millisecond"
    MICROSECOND = "Microsecond"
    NANOSECOND = "Nanosecond"


class OperationType(IntEnum):
    """What a record does to the ones before it: the value of the `op` column."""

    APPEND = 0
    RETRACT = 1
    CORRECT_FROM = 2
    CORRECT_TO = 3


class ExtraAttributes(Mapping[str, JsonValue]):
    """A JSON object whose meaning belongs to others: kept whole, compared by value, never changed."""

    __slots__ = ("text",)
    text: str
    """The object as ODF writes it: keys sorted on all levels, no white space, non-ASCII as it is."""

    def __init__(self, attributes: Mapping[str, JsonValue]) -> None:
        text = json.dumps(dict(attributes), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        object.__setattr__(self, "text", text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the JSON text of an object."""
        value = json.loads(text)
        if not isinstance(value, dict):
            msg = "extra attributes must be a JSON object"
            raise ValueError(msg)  # noqa: TRY004 - a bad value, not a misuse by the programmer
        return cls(value)

    def to_json(self) -> dict[str, JsonValue]:
        """Return a copy that the caller may change."""
        value: dict[str, JsonValue] = json.loads(self.text)
        return value

    def without(self, keys: frozenset[str]) -> "ExtraAttributes | None":
        """Drop `keys`; nothing left is the same as no attributes."""
        kept = {key: value for key, value in self.to_json().items() if key not in keys}
        return ExtraAttributes(kept) if kept else None

    def __setattr__(self, name: str, value: object) -> None:
        msg = f"extra attributes are frozen: cannot set {name}"
        raise AttributeError(msg)

    def __getitem__(self, key: str) -> JsonValue:
        return self.to_json()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_json())

    def __len__(self) -> int:
        return len(self.to_json())

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, ExtraAttributes) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[object, ...]:
        return ExtraAttributes.parse, (self.text,)

    def __repr__(self) -> str:
        return f"ExtraAttributes({self.text})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from_object = core_schema.no_info_after_validator_function(
            cls, core_schema.dict_schema(core_schema.str_schema(), handler(JsonValue))
        )
        return core_schema.json_or_python_schema(
            json_schema=from_object,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_object]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda attributes: attributes.to_json()),
        )


class BinaryType(OdfModel):
    kind: Literal["Binary"] = "Binary"
    fixed_length: UInt64 | None = None


class BoolType(OdfModel):
    kind: Literal["Bool"] = "Bool"


class DateType(OdfModel):
    kind: Literal["Date"] = "Date"


class DecimalType(OdfModel):
    kind: Literal["Decimal"] = "Decimal"
    precision: UInt32
    scale: Int32


class DurationType(OdfModel):
    """An elapsed time; the unit defaults to milliseconds."""

    kind: Literal["Duration"] = "Duration"
    unit: TimeUnit | None = None


class Float16Type(OdfModel):
    kind: Literal["Float16"] = "Float16"


class Float32Type(OdfModel):
    kind: Literal["Float32"] = "Float32"


class Float64Type(OdfModel):
    kind: Literal["Float64"] = "Float64"


class Int8Type(OdfModel):
    kind: Literal["Int8"] = "Int8"


class Int16Type(OdfModel):
    kind: Literal["Int16"] = "Int16"


class Int32Type(OdfModel):
    kind: Literal["Int32"] = "Int32"


class Int64Type(OdfModel):
    kind: Literal["Int64"] = "Int64"


class UInt8Type(OdfModel):
    kind: Literal["UInt8"] = "UInt8"


class UInt16Type(OdfModel):
    kind: Literal["UInt16"] = "UInt16"


class UInt32Type(OdfModel):
    kind: Literal["UInt32"] = "UInt32"


class UInt64Type(OdfModel):
    kind: Literal["UInt64"] = "UInt64"


class ListType(OdfModel):
    kind: Literal["List"] = "List"
    item_type: "DataType"
    fixed_length: UInt64 | None = None


class MapType(OdfModel):
    kind: Literal["Map"] = "Map"
    key_type: "DataType"
    value_type: "DataType"
    keys_sorted: bool | None = None


class NullType(OdfModel):
    kind: Literal["Null"] = "Null"


class OptionType(OdfModel):
    """A value of `inner`, or null: the only way to say nullable."""

    kind: Literal["Option"] = "Option"
    inner: "DataType"


class StructType(OdfModel):
    kind: Literal["Struct"] = "Struct"
    fields: ListOf["DataField"]


class TimeType(OdfModel):
    """A time of day; the unit defaults to milliseconds."""

    kind: Literal["Time"] = "Time"
    unit: TimeUnit | None = None


class TimestampType(OdfModel):
    """A point in time; the unit defaults to milliseconds, the time zone to UTC."""

    kind: Literal["Timestamp"] = "Timestamp"
    unit: TimeUnit | None = None
    timezone: str | None = None


class StringType(OdfModel):
    kind: Literal["String"] = "String"


DataType = Annotated[
    BinaryType
    | BoolType
    | DateType
    | DecimalType
    | DurationType
    | Float16Type
    | Float32Type
    | Float64Type
    | Int8Type
    | Int16Type
    | Int32Type
    | Int64Type
    | UInt8Type
    | UInt16Type
    | UInt32Type
    | UInt64Type
    | ListType
    | MapType
    | NullType
    | OptionType
    | StructType
    | TimeType
    | TimestampType
    | StringType,
    ByKind(short_form=True),
]


class DataField(OdfModel):
    name: str
    type: DataType
    extra: ExtraAttributes | None = None


class DataSchema(OdfModel):
    """The columns of a dataset, in order."""

    fields: ListOf[DataField]
    extra: ExtraAttributes | None = None


class DatasetVocabulary(OdfModel):
    """Names of the columns that every dataset has."""

    offset_column: str = "offset"
    operation_type_column: str = "op"
    system_time_column: str = "system_time"
    event_time_column: str = "event_time"


class OffsetInterval(OdfModel):
    """Offsets of a slice, both ends included."""

    start: UInt64
    end: UInt64


for _recursive in (ListType, MapType, OptionType, StructType, DataField, DataSchema):
    _recursive.model_rebuild()
