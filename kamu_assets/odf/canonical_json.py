"""JSON with one spelling for every value, so that it can be hashed and signed (gibson042 canonical JSON).

Documentation upstream names RFC 8785, but proofs in the world follow these rules: keys sorted by code point, no white
space, everything but printable ASCII escaped, integers plain, floats as shortest digits with an exponent.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from json.encoder import encode_basestring_ascii as _quoted

from pydantic import JsonValue

from kamu_assets.errors import InvalidError


class JsonTooDeepError(InvalidError):
    """The document has more levels than anything sensible."""


def canonical_json(value: JsonValue) -> bytes:
    """The canonical text of `value`; `1` and `1.0` are different values."""
    try:
        return "".join(_parts(value)).encode("ascii")
    except RecursionError as error:
        raise JsonTooDeepError("the JSON document is nested too deeply") from error


def _parts(value: JsonValue) -> Iterator[str]:
    match value:
        case dict():
            yield from _object(value)
        case list():
            yield from _array(value)
        case str():
            yield _quoted(value)
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case int():
            yield str(value)
        case float():
            yield _float(value)
        case _:
            msg = f"{type(value).__name__} is no JSON value"
            raise TypeError(msg)


def _object(members: dict[str, JsonValue]) -> Iterator[str]:
    yield "{"
    for index, key in enumerate(sorted(members)):
        yield f"{',' if index else ''}{_quoted(key)}:"
        yield from _parts(members[key])
    yield "}"


def _array(items: list[JsonValue]) -> Iterator[str]:
    yield "["
    for index, item in enumerate(items):
        if index:
            yield ","
        yield from _parts(item)
    yield "]"


def _float(value: float) -> str:
    if not math.isfinite(value):
        return "null"
    # Python's repr has the shortest digits that read back as the same number.
    number = Decimal(repr(value))
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0") or "0"
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    sign = "-" if number.is_signed() else ""
    return f"{sign}{mantissa}E{number.adjusted() if number else 0}"
