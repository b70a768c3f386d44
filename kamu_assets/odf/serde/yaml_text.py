"""YAML 1.2 text to plain values and back, by the core schema: only `true` and `false` are booleans.

Manifests come from anybody: duplicate keys are errors, and size, depth and the reach of aliases are limited.
"""

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from kamu_assets.odf.serde.manifest_errors import ManifestError

MAX_LENGTH = 1_048_576
MAX_DEPTH = 100
MAX_NODES = 100_000
_WIDE = 1_000_000

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]{1,100}", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]{1,100}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,100}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)


def load_documents(text: str) -> list[Any]:
    """The values of all documents in a text."""
    if len(text) > MAX_LENGTH:
        raise ManifestError(f"a manifest has at most {MAX_LENGTH} characters, not {len(text)}")
    try:
        return list(_Loader(iter(YAML(typ="safe", pure=True).parse(text))).documents())
    except MarkedYAMLError as error:
        raise ManifestError(_where(error)) from error
    # The scanner lets a few errors of its building blocks through, such as characters beyond Unicode.
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise ManifestError(f"not YAML: {error}") from error


def _where(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"not YAML: {error.problem or error.context}{place}"


class _Loader:
    """Builds values from parser events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        # Value and number of nodes of everything that has an anchor.
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def documents(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                self._anchors = {}
                yield self._value(next(self._events), depth=0)

    def _value(self, event: Any, *, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ManifestError(f"nested deeper than {MAX_DEPTH} levels{_line(event)}")
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(1)
        value = self._anchored(event, depth=depth)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _anchored(self, event: Any, *, depth: int) -> Any:
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if event.tag not in {None, "!"}:
            raise ManifestError(f"tag {event.tag!r} is not supported{_line(event)}")
        if isinstance(event, SequenceStartEvent):
            return [self._value(item, depth=depth + 1) for item in self._until_end()]
        return self._mapping(depth=depth)

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise ManifestError(f"alias {event.anchor!r} has no anchor before it{_line(event)}")
        value, nodes = self._anchors[event.anchor]
        self._count(nodes)
        return value

    def _mapping(self, *, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in self._until_end():
            key = self._value(event, depth=depth + 1)
            if not isinstance(key, str):
                raise ManifestError(f"key {key!r} is not a string{_line(event)}")
            if key in mapping:
                raise ManifestError(f"key `{key}` appears twice{_line(event)}")
            mapping[key] = self._value(next(self._events), depth=depth + 1)
        return mapping

    def _until_end(self) -> Iterator[Any]:
        for event in self._events:
            if not isinstance(event, AliasEvent | ScalarEvent | SequenceStartEvent | MappingStartEvent):
                return
            yield event

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise ManifestError(f"a manifest unfolds to more than {MAX_NODES} values")


def _line(event: Any) -> str:
    return f" at line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"


def _scalar(event: ScalarEvent) -> Any:
    plain, quoted = event.implicit
    if plain:
        return resolve_plain(event.value)
    if quoted or event.tag in {"!", "tag:yaml.org,2002:str"}:
        return _unicode(event)
    raise ManifestError(f"tag {event.tag!r} is not supported{_line(event)}")


def _unicode(event: ScalarEvent) -> str:
    """The text, with the pairs of surrogates joined as which JSON escapes some characters: YAML takes each for one."""
    text: str = event.value
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise ManifestError(f"not YAML: half of a surrogate pair, which no text can hold{_line(event)}") from error


def resolve_plain(text: str) -> Any:
    """What an unquoted word means in the core schema of YAML 1.2."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _SPECIAL_FLOAT.fullmatch(text) else text


def _is_paragraph(text: str) -> bool:
    """Several lines that a literal block gives back unchanged."""
    first, *others = text.split("\n")
    unchanged = all(line.isprintable() and line == line.rstrip() for line in (first, *others))
    return bool(others) and unchanged and first != "" and first == first.lstrip()


class _Representer(SafeRepresenter):
    """Writes paragraphs as literal blocks, and quotes every word that would not come back as itself."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of the library
        return True

    def represent_str(self, data: str) -> ScalarNode:
        tag = "tag:yaml.org,2002:str"
        if _is_paragraph(data):
            return self.represent_scalar(tag, data, style="|")
        if not data.isprintable() or resolve_plain(data) is not data:
            return self.represent_scalar(tag, data, style='"')
        return self.represent_scalar(tag, data)


_Representer.add_representer(str, _Representer.represent_str)


def dump_document(value: dict[str, Any]) -> str:
    """The text of one document, keys in the order given."""
    # The library declares few of the types of its settings.
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.allow_unicode = True
    yaml.width = _WIDE
    stream = StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()
