"""Whether what one description of an API promises holds for clients that were made from another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True)
class Descriptions:
    """Ours, and the one that clients know."""

    ours: Json
    theirs: Json

    def requests(self, place: str, ours: Json, theirs: Json) -> Iterator[str]:
        """What they may send and we do not take."""
        mine, known = _plain(self.ours, ours), _plain(self.theirs, theirs)
        yield from _kinds(place, mine, known)
        if missing := set(known["properties"]) - set(mine["properties"]):
            yield f"{place}: unknown {sorted(missing)}"
        if asked := mine["required"] - known["required"]:
            yield f"{place}: needs {sorted(asked)}"
        if known["enum"] and mine["enum"] and (words := known["enum"] - mine["enum"]):
            yield f"{place}: does not take {sorted(words)}"
        yield from self._inside(place, mine, known, self.requests)

    def responses(self, place: str, ours: Json, theirs: Json) -> Iterator[str]:
        """What they count on and we do not send, or do not expect and we send."""
        mine, known = _plain(self.ours, ours), _plain(self.theirs, theirs)
        yield from _kinds(place, mine, known)
        if missing := known["required"] - mine["required"]:
            yield f"{place}: lacks {sorted(missing)}"
        if known["closed"] and (more := set(mine["properties"]) - set(known["properties"])):
            yield f"{place}: has also {sorted(more)}"
        if known["enum"] and (not mine["enum"] or mine["enum"] - known["enum"]):
            yield f"{place}: other words than {sorted(known['enum'])}"
        yield from self._inside(place, mine, known, self.responses)

    def _inside(self, place: str, mine: Json, known: Json, compare: Any) -> Iterator[str]:
        for name in sorted(set(mine["properties"]) & set(known["properties"])):
            yield from compare(f"{place}.{name}", mine["properties"][name], known["properties"][name])
        # A statement holds statements.
        if mine["items"] and known["items"] and place.count("subQueries") < 2:
            yield from compare(f"{place}[]", mine["items"], known["items"])


def _kinds(place: str, mine: Json, known: Json) -> Iterator[str]:
    if mine["types"] and known["types"] and not mine["types"] & known["types"]:
        yield f"{place}: {sorted(mine['types'])} instead of {sorted(known['types'])}"


def _plain(document: Json, schema: Json) -> Json:
    """All that a schema says by itself, by reference, or by one of several."""
    found: Json = {"types": set(), "enum": set(), "properties": {}, "required": set(), "items": None, "closed": False}
    _add(document, schema, found)
    found["types"].discard("null")
    return found


def _add(document: Json, schema: Json, found: Json) -> None:
    if "$ref" in schema:
        _add(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], found)
    for part in schema.get("allOf", ()):
        _add(document, part, found)
    kind = schema.get("type", ())
    found["types"] |= {kind} if isinstance(kind, str) else set(kind)
    found["enum"] |= {word for word in schema.get("enum", ()) if word is not None}
    _add_properties(found, schema.get("properties", {}))
    found["required"] |= set(schema.get("required", ()))
    found["items"] = schema.get("items") or found["items"]
    found["closed"] |= schema.get("additionalProperties") is False
    _add_one_of(document, [*schema.get("anyOf", ()), *schema.get("oneOf", ())], found)


def _add_one_of(document: Json, choices: list[Json], found: Json) -> None:
    """Any of the words and members; what all of them need."""
    all_of_them = [_plain(document, choice) for choice in choices if choice.get("type") != "null"]
    for each in all_of_them:
        found["types"] |= each["types"]
        found["enum"] |= each["enum"]
        _add_properties(found, each["properties"])
        found["items"] = each["items"] or found["items"]
        found["closed"] |= each["closed"]
    if all_of_them:
        found["required"] |= set.intersection(*(each["required"] for each in all_of_them))


def _add_properties(found: Json, properties: Json) -> None:
    for name, schema in properties.items():
        known = found["properties"].get(name)
        found["properties"][name] = schema if known in (None, schema) else {"anyOf": [known, schema]}
