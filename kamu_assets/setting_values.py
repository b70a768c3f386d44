"""What a setting may be and what is wrong with a value, in words, from the types of the model itself."""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ByteSize

# What validation says of one value.
Mistake = Mapping[str, Any]

_PATTERNS: Final = {
    r"^grpc://[^/\s]+:[0-9]{1,5}$": "grpc://host:port",
    "^postgresql": "postgresql://…",
    "^(redis|rediss|unix)://": "redis://…, rediss://… or unix://…",
    "^[a-z][a-z0-9_-]*$": "lower-case names",
    "^[A-Za-z_][A-Za-z0-9_]*$": "names of variables",
}
_SHOWN: Final = 60
# Texts that may hold passwords.
_URL: Final = re.compile("://")
_OWN_WORDS: Final = "value_error"
_UNKNOWN: Final = "extra_forbidden"
# Section, key, and a name in the map that the setting is.
_IN_MAP: Final = 3


def allowed_values(section: type[BaseModel], key: str) -> str:
    """What a setting may be."""
    if section.model_fields[key].annotation is ByteSize:
        return "a size such as 512MiB, 2GiB or a number of bytes"
    return _words(section.model_json_schema()["properties"][key])


def mistake_text(settings: type[BaseModel], mistake: Mistake) -> str:
    """The key, what it may be and what was said."""
    place: Sequence[str] = [str(part) for part in mistake["loc"]]
    fields = settings.model_fields
    section = fields[place[0]].annotation if place[0] in fields else None
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        sections = [name for name, field in fields.items() if name != "home"]
        return f"{place[0]}: {_no_such(place[0], sections, '')}" if section is None else f"{place[0]}: {mistake['msg']}"
    keys = list(section.model_fields)
    if mistake["type"] == _OWN_WORDS:
        return f"{'.'.join(place[:2])}: {mistake['msg'].removeprefix('Value error, ')}"
    if len(place) == 1:
        return f"{place[0]}: must be a map with some of {', '.join(keys)}, not {_shown(mistake['input'])}"
    key = f"{place[0]}.{place[1]}"
    inner = _model_within(section, place[1])
    if inner is not None and len(place) > _IN_MAP:
        return f"{key}: {_mistake_within(inner, place, mistake)}"
    if mistake["type"] == _UNKNOWN:
        return f"{key}: {_no_such(place[1], keys, f'{place[0]}.')}"
    return f"{key}: must be {allowed_values(section, place[1])}{_found(section, place, mistake)}"


def _model_within(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    """What the values of a map are, where they have settings of their own."""
    field = section.model_fields.get(key)
    kinds = () if field is None else get_args(field.annotation)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _mistake_within(inner: type[BaseModel], place: Sequence[str], mistake: Mistake) -> str:
    name, key = place[_IN_MAP - 1 : _IN_MAP + 1]
    if key == "[key]":
        return f"{name!r} is not one of {mistake.get('ctx', {}).get('expected', 'the names it takes')}"
    if mistake["type"] == _UNKNOWN:
        return f"{name}: {key}: {_no_such(key, list(inner.model_fields), '')}"
    allowed = allowed_values(inner, key)
    if mistake["type"] == "missing":
        return f"{name}: {key} is missing: {allowed}"
    return f"{name}: {key}: must be {allowed}, not {_shown(mistake['input'])}"


def no_such_variable(name: str, prefix: str, sections: Sequence[str]) -> str:
    """What to say of a variable of the environment whose section does not exist."""
    section = name.removeprefix(prefix).split("__")[0]
    return f"{name}: {_no_such(section.lower(), sections, '')}"


def _no_such(name: str, known: Sequence[str], prefix: str) -> str:
    # Kamu spells its settings in another way: maxRows.
    alike = {each.replace("_", ""): each for each in known}
    close = get_close_matches(name.replace("_", "").lower(), alike, n=1)
    there = f"there are {', '.join(known)}"
    if not close:
        return f"no such setting; {there}"
    return f"no such setting; did you mean {prefix}{alike[close[0]]}? ({there})"


def _found(section: type[BaseModel], place: Sequence[str], mistake: Mistake) -> str:
    if "Secret" in str(section.model_fields[place[1]].annotation):
        return ""
    within = "" if len(place) == 2 else f" at {place[2]}"  # noqa: PLR2004 - section and key
    return f", not {_shown(mistake['input'])}{within}"


def _shown(value: object) -> str:
    text = repr(value)
    if _URL.search(text):
        return "what it is"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(kind) for kind in schema["anyOf"])
    if "$ref" in schema:
        return "settings of its own"
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    return _KINDS.get(schema.get("type", ""), _text_words)(schema)


def _text_words(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    if pattern is not None:
        return _PATTERNS.get(pattern, f"text like {pattern}")
    return {"path": "a path", "password": "secret text"}.get(schema.get("format", ""), "text")


def _number_words(schema: Mapping[str, Any]) -> str:
    words = "a whole number" if schema["type"] == "integer" else "a number"
    match schema:
        case {"minimum": low, "maximum": high}:
            return f"{words} from {low} to {high}"
        case {"minimum": low}:
            return f"{words} of at least {low:g}"
        case {"exclusiveMinimum": low}:
            return f"{words} above {low:g}"
        case _:
            return words


def _map_words(schema: Mapping[str, Any]) -> str:
    for pattern, values in schema.get("patternProperties", {}).items():
        return f"a map of {_PATTERNS.get(pattern, f'names like {pattern}')} to {_words(values)}"
    values = schema.get("additionalProperties")
    return f"a map of names to {_words(values)}" if isinstance(values, Mapping) else "a map"


_KINDS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "null": lambda _: "nothing",
    "boolean": lambda _: "true or false",
    "integer": _number_words,
    "number": _number_words,
    "array": lambda schema: f"a list, each {_words(schema.get('items', {}))}",
    "object": _map_words,
}
