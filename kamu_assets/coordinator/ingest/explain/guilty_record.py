"""What explanations of failed reads share: bisecting to the guilty record, naming types and values."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    IngestError,
    NullInRequiredError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)

Item = TypeVar("Item")

# Records that are tried together before the guilty one is looked for.
CHUNK = 2_000
_SHOWN = 80
# Where the node keeps a file on its way is nobody's business.
_INSIDE = re.compile(r"Error when processing \w+ file \S+\ncaused by\n(?:Arrow error: )?")
_TYPE_NAMES = {
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "uint8": "TINYINT UNSIGNED",
    "uint16": "SMALLINT UNSIGNED",
    "uint32": "INT UNSIGNED",
    "uint64": "BIGINT UNSIGNED",
    "float": "FLOAT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "string": "STRING",
    "large_string": "STRING",
    "date32[day]": "DATE",
    "date64[ms]": "DATE",
}


def first_failing(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> int | None:
    """Index of the first item without which the items before it are fine; None when all are."""
    if not fails(items):
        return None
    good, bad = 0, len(items)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if fails(items[:middle]) else (middle, bad)
    return bad - 1


def type_name(kind: pa.DataType) -> str:
    """A type as its user would write it in SQL."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP"
    if pa.types.is_time(kind):
        return "TIME"
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _TYPE_NAMES.get(str(kind), str(kind))


def shown(value: object) -> str:
    """A value for a message, cut to a bearable length."""
    # Half a surrogate pair would make the message itself unreadable.
    text = str(value).encode(errors="backslashreplace").decode()
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}…" ({len(text)} characters)'


def column_error(where: str, field: pa.Field, value: object, reason: str) -> IngestError:
    """The error of one value."""
    place = f"{where}, column `{field.name}`"
    if "non-nullable" in reason and value in (None, ""):
        return NullInRequiredError(
            f"{place}: there is no value, but the column is required; "
            "fill it in, or let the schema of the read step allow nulls"
        )
    if "Unsupported data type" in reason:
        return UnsupportedColumnTypeError(f"column `{field.name}`: {reason}")
    return TypeMismatchError(f"{place}: {shown(value)} is not a valid {type_name(field.type)}; {_advice(field.type)}")


def _advice(wanted: pa.DataType) -> str:
    if pa.types.is_string(wanted):
        return "correct it, or declare the column with the type that its values have"
    return "correct it, or declare the column as STRING and convert it in a preprocess query"


def general_error(name: str, reason: str) -> IngestError:
    """The error when no single value is to blame, or none was found."""
    reason = _INSIDE.sub("", reason)
    if "non-nullable" in reason:
        return NullInRequiredError(f"{name}: {reason}")
    if "Cast error" in reason or "Error while parsing value" in reason or "whilst decoding field" in reason:
        return TypeMismatchError(f"{name}: {reason}")
    return BadInputError(f"{name}: {reason}")
