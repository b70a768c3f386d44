"""Hints about the memory layout of Arrow data, kept beside ODF types that say nothing of it (RFC-016)."""

from dataclasses import dataclass
from typing import Final, Self

import pyarrow as pa
import pyarrow.types as pt
from pydantic import JsonValue

from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DataType,
    ExtraAttributes,
    ListType,
    MapType,
    OptionType,
    StructType,
)

_BUFFER: Final = "arrow.apache.org/bufferEncoding"
_DATE: Final = "arrow.apache.org/dateEncoding"
_DECIMAL: Final = "arrow.apache.org/decimalEncoding"
_KEYS: Final = frozenset({_BUFFER, _DATE, _DECIMAL})
_LARGE: Final = 64
_SMALL: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How values of one column lie in memory, where that is not the default."""

    view: bool = False
    large: bool = False
    date_in_millis: bool = False
    decimal_bits: int | None = None

    @classmethod
    def of(cls, data_type: pa.DataType) -> Self:
        """The encoding of an Arrow type."""
        list_view, large_list_view = pt.is_list_view(data_type), pt.is_large_list_view(data_type)
        large = pt.is_large_string(data_type) or pt.is_large_binary(data_type) or pt.is_large_list(data_type)
        return cls(
            view=pt.is_string_view(data_type) or pt.is_binary_view(data_type) or list_view or large_list_view,
            large=large or large_list_view,
            date_in_millis=pt.is_date64(data_type),
            decimal_bits=data_type.bit_width if pt.is_decimal(data_type) else None,
        )

    @classmethod
    def read(cls, extra: ExtraAttributes | None) -> Self:
        """The hints among `extra`; what is not understood is not followed."""
        return cls(
            view=_hint(extra, _BUFFER, "kind") in ("View", "view"),
            large=_hint(extra, _BUFFER, "offsetBitWidth") == _LARGE,
            date_in_millis=_hint(extra, _DATE, "unit") in ("Millisecond", "millisecond"),
            decimal_bits=bits if isinstance(bits := _hint(extra, _DECIMAL, "bitWidth"), int) else None,
        )

    def to_extra(self) -> ExtraAttributes | None:
        """The hints that restore this encoding."""
        hints: dict[str, JsonValue] = {}
        if self.view or self.large:
            kind, width = "View" if self.view else "Contiguous", _LARGE if self.large else _SMALL
            hints[_BUFFER] = {"kind": kind, "offsetBitWidth": width}
        if self.date_in_millis:
            hints[_DATE] = {"unit": "Millisecond"}
        if self.decimal_bits is not None:
            hints[_DECIMAL] = {"bitWidth": self.decimal_bits}
        return ExtraAttributes(hints) if hints else None


def _hint(extra: ExtraAttributes | None, key: str, name: str) -> JsonValue:
    value = extra.get(key) if extra is not None else None
    return value.get(name) if isinstance(value, dict) else None


def strip_encoding(schema: DataSchema) -> DataSchema:
    """The schema without hints: the form that a metadata chain holds."""
    return schema.model_copy(update={"fields": tuple(map(_strip_field, schema.fields))})


def _strip_field(field: DataField) -> DataField:
    extra = field.extra.without(_KEYS) if field.extra else field.extra
    return field.model_copy(update={"type": _strip_type(field.type), "extra": extra})


def _strip_type(data_type: DataType) -> DataType:
    match data_type:
        case StructType():
            return StructType(fields=tuple(map(_strip_field, data_type.fields)))
        case OptionType():
            return OptionType(inner=_strip_type(data_type.inner))
        case ListType():
            return data_type.model_copy(update={"item_type": _strip_type(data_type.item_type)})
        case MapType():
            stripped = {"key_type": _strip_type(data_type.key_type), "value_type": _strip_type(data_type.value_type)}
            return data_type.model_copy(update=stripped)
        case _:
            return data_type
