"""Arrow values as JSON values, as Kamu's clients know them.

Decimals are text, times RFC 3339 with `Z` (none without a zone) and no needless fraction, 64-bit integers are written
in full, binary is hexadecimal. NaN and infinities stay what they are: whoever writes JSON makes them null.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.formats.moments import NANOS, moment_texts
from kamu_assets.query.formats.zones import in_zone

_DAY_NANOS: Final = 86_400 * 10**9
_UTC_NAMES: Final = frozenset({"UTC", "Z", "+00:00", "Etc/UTC"})


def json_values(array: pa.Array) -> list[Any]:
    """One JSON value per row."""
    data_type = array.type
    for applies, convert in _CONVERSIONS:
        if applies(data_type):
            return convert(array)
    return list(array.to_pylist())


def _texts(array: pa.Array, text: Callable[[int], str]) -> list[Any]:
    width = pa.int32() if array.type.bit_width == 32 else pa.int64()  # noqa: PLR2004 - bits
    return [None if value is None else text(value) for value in array.view(width).to_pylist()]


def _dates(array: pa.Array) -> list[Any]:
    if pt.is_date32(array.type):
        return _texts(array, lambda days: str(Timestamp(days * _DAY_NANOS)).partition("T")[0])
    return _texts(array, lambda millis: str(Timestamp(millis * 10**6)).removesuffix("Z"))


def _times(array: pa.Array) -> list[Any]:
    nanos = NANOS[array.type.unit]
    return _texts(array, lambda value: str(Timestamp(value * nanos)).partition("T")[2].removesuffix("Z"))


def _timestamps(array: pa.Array) -> list[Any]:
    nanos, zone = NANOS[array.type.unit], array.type.tz
    if zone is None:
        return [None if text is None else text.removesuffix("Z") for text in moment_texts(array)]
    if zone in _UTC_NAMES:
        return list(moment_texts(array))
    return _texts(array, lambda value: in_zone(value * nanos, zone))


def _durations(array: pa.Array) -> list[Any]:
    nanos = NANOS[array.type.unit]
    return _texts(array, lambda value: _duration(value * nanos))


def _duration(nanos: int) -> str:
    """ISO 8601 in seconds; none at all is `P0D`."""
    return f"{'-' if nanos < 0 else ''}PT{_seconds(abs(nanos))}S" if nanos else "P0D"


def _seconds(nanos: int) -> str:
    seconds, fraction = divmod(nanos, 10**9)
    digits = f".{fraction:09}".rstrip("0") if fraction else ""
    return f"{seconds}{digits}"


def _short_floats(array: pa.Array) -> list[Any]:
    """The shortest text that means the same 16 or 32 bits."""
    narrow = np.float16 if pt.is_float16(array.type) else np.float32
    return [None if value is None else float(str(narrow(value))) for value in array.to_pylist()]


def _decimals(array: pa.Array) -> list[Any]:
    return [None if value is None else f"{value:f}" for value in array.to_pylist()]


def _binaries(array: pa.Array) -> list[Any]:
    return [None if value is None else value.hex() for value in array.to_pylist()]


def _lists(array: pa.Array) -> list[Any]:
    return [None if not item.is_valid else json_values(item.values) for item in array]


def _structs(array: pa.Array) -> list[Any]:
    names = [field.name for field in array.type]
    columns = [json_values(column) for column in array.flatten()]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] if columns else [{}] * len(array)
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]


def _maps(array: pa.Array) -> list[Any]:
    return [None if not item.is_valid else _map(item.values) for item in array]


def _map(entries: pa.StructArray) -> dict[str, Any]:
    keys = [key if isinstance(key, str) else str(key) for key in json_values(entries.field(0))]
    return dict(zip(keys, json_values(entries.field(1)), strict=True))


def _dictionaries(array: pa.Array) -> list[Any]:
    return json_values(array.dictionary_decode())


def _is_list(data_type: pa.DataType) -> bool:
    return bool(
        pt.is_list(data_type)
        or pt.is_large_list(data_type)
        or pt.is_fixed_size_list(data_type)
        or pt.is_list_view(data_type)
        or pt.is_large_list_view(data_type)
    )


def _is_binary(data_type: pa.DataType) -> bool:
    return bool(
        pt.is_binary(data_type)
        or pt.is_large_binary(data_type)
        or pt.is_fixed_size_binary(data_type)
        or pt.is_binary_view(data_type)
    )


def _intervals(array: pa.Array) -> list[Any]:
    return [None if value is None else _interval(*value) for value in array.to_pylist()]


def _interval(months: int, days: int, nanos: int) -> str:
    """ISO 8601."""
    return f"P{months}M{days}DT{'-' if nanos < 0 else ''}{_seconds(abs(nanos))}S"


_CONVERSIONS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Any]]], ...]] = (
    (pt.is_float16, _short_floats),
    (pt.is_float32, _short_floats),
    (pt.is_timestamp, _timestamps),
    (pt.is_date, _dates),
    (pt.is_time, _times),
    (pt.is_decimal, _decimals),
    (pt.is_duration, _durations),
    (pt.is_interval, _intervals),
    (pt.is_dictionary, _dictionaries),
    (pt.is_struct, _structs),
    (pt.is_map, _maps),
    (_is_binary, _binaries),
    (_is_list, _lists),
)
