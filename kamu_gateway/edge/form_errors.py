"""What is wrong with a form, in the words that clients of Kamu know: those of the library that reads its forms."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

# Whoever sends a megabyte for a word need not have it back.
_SHOWN: Final = 1000
_FEW: Final = 2
_QUOTED: Final = re.compile(r"'([^']*)'")

# As pydantic and fastapi tell what is wrong.
Details = Mapping[str, Any]


def reason(details: Details, model: type[BaseModel] | None = None) -> str:
    """The place and the fault; what else a form of this model takes."""
    place = details["loc"]
    if details["type"] == "missing":
        return _at(place[:-1], f"missing field `{place[-1]}`")
    if details["type"] == "extra_forbidden":
        known = _fields(model) if model is not None and len(place) == 1 else ()
        return _at(place, f"unknown field `{place[-1]}`{_expected(known)}")
    return _at(place, _WORDS.get(details["type"], _own_words)(details))[:_SHOWN]


def unknown_variant(text: object, known: Iterable[str]) -> str:
    """A word that is none of an enumeration."""
    return f"unknown variant `{text}`{_expected(list(known))}"


def wrong_type(value: object, expected: str) -> str:
    """A value that is none of what there may be."""
    return f"invalid type: {_kind(value)}, expected {expected}"


def _expected(known: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in known]
    if len(quoted) > _FEW:
        return f", expected one of {', '.join(quoted)}"
    return f", expected {' or '.join(quoted)}" if quoted else ""


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _at(place: Sequence[str | int], words: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return f"{path}: {words}" if path else words


def _own_words(details: Details) -> str:
    words: str = details["msg"]
    return words.removeprefix("Value error, ")


def _count(details: Details) -> str:
    """A number as such in a document, as a text in a query string."""
    given = details["input"]
    if not isinstance(given, str):
        return f"invalid value: {_kind(given)}, expected u64"
    if given == "":
        return "cannot parse integer from empty string"
    return "number too large to fit in target type" if _is_number(given) else "invalid digit found in string"


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("+").isdecimal()


def _other_type(expected: str) -> Callable[[Details], str]:
    return lambda details: wrong_type(details["input"], expected)


def _kind(value: object) -> str:
    word = _KINDS.get(type(value), "map")
    if not isinstance(value, str | int | float):
        return word
    text = json.dumps(value, ensure_ascii=False)
    return f"{word} {text}" if isinstance(value, str) else f"{word} `{text}`"


def _choice(details: Details) -> str:
    return unknown_variant(details["input"], _QUOTED.findall(details["ctx"]["expected"]))


_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    float: "floating point",
    int: "integer",
    list: "sequence",
    str: "string",
    tuple: "sequence",
    type(None): "null",
}
_WORDS: Final[Mapping[str, Callable[[Details], str]]] = {
    "enum": _choice,
    "greater_than_equal": _count,
    "int_from_float": _count,
    "int_parsing": _count,
    "int_parsing_size": _count,
    "int_type": _other_type("u64"),
    "less_than": _count,
    "list_type": _other_type("a sequence"),
    "literal_error": _choice,
    "model_type": _other_type("an object"),
    "string_type": _other_type("a string"),
    "tuple_type": _other_type("a sequence"),
}
