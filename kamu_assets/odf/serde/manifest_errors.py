"""What is wrong with a manifest, and where: complaints of the models in words for the author."""

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from kamu_assets.errors import InvalidError
from kamu_assets.odf.typedef import OdfModel, kind_of

# How Pydantic marks the attempts of an unlabelled union in a location.
_CHECK = re.compile(r"^(?:is-instance|function-\w+|lax-or-strict)\[")

_TELLING = {"extra_forbidden": 0, "is_instance_of": 2}

Location = tuple[int | str, ...]


class ManifestError(InvalidError):
    """The text is not the manifest that was expected."""

    def __init__(self, reason: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class UnsupportedManifestVersionError(ManifestError):
    """The manifest is written for another version of the format."""

    def __init__(self, *, kind: str, version: int, supported: tuple[int, ...]) -> None:
        age = "obsolete" if version < min(supported) else "not supported"
        known = ", ".join(map(str, supported))
        super().__init__(f"version {version} of {kind} is {age}, supported: {known}", path="version")
        self.version = version


def manifest_error(error: ValidationError, model: Any, *, prefix: str) -> ManifestError:
    """The most telling complaint of a model about a manifest."""
    # A misspelled field is also a missing one: the spelling says more.
    first = min(error.errors(), key=lambda detail: _TELLING.get(detail["type"], 1))
    place: Location = (prefix, *_fields_only(first["loc"])) if prefix else _fields_only(first["loc"])
    more = error.error_count() - 1
    reason = _reason(first, model) + (f" (and {more} more)" if more else "")
    return ManifestError(reason, path=_path(place))


def _reason(detail: ErrorDetails, model: Any) -> str:
    match detail["type"]:
        case "extra_forbidden":
            allowed = ", ".join(f"`{name}`" for name in _allowed(model, detail["loc"][:-1]))
            return f"unknown field, allowed are {allowed}" if allowed else "unknown field, none are allowed"
        case "missing" | "missing_kind":
            return "missing field"
        case "model_type" if detail["loc"][-1:] == ("schema",) and isinstance(detail["input"], list):
            return "`schema` is an ODF schema with `fields`; a list of DDL columns goes into `ddlSchema`"
        case _:
            return detail["msg"]


def _path(location: Location) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _fields_only(location: Location) -> Location:
    """Without what is not part of the document: kinds of unions (only they start with a capital), names of checks."""
    *inner, last = [part for part in location if not isinstance(part, str) or _CHECK.search(part) is None] or ("",)
    kept = [part for part in inner if isinstance(part, int) or not part[:1].isupper()]
    return (*kept, last) if last != "" else ()


def _allowed(annotation: Any, location: Location) -> list[str]:
    for part in location:
        annotation = _inside(annotation, part)
    return [_alias(*item) for model in _models(annotation) for item in model.model_fields.items()]


def _inside(annotation: Any, part: int | str) -> Any:
    """The type of a part of a document: a field, an item, or the member of a union."""
    for model in _models(annotation):
        if isinstance(part, int):
            return annotation
        if "kind" in model.model_fields and kind_of(model) == part:
            return model
        for name, field in model.model_fields.items():
            if _alias(name, field) == part:
                return field.annotation
    return None


def _alias(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _models(annotation: Any) -> Iterator[type[OdfModel]]:
    """All models an annotation speaks of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _models(get_args(annotation)[0])
    elif origin in {Union, UnionType, tuple}:
        for argument in get_args(annotation):
            yield from _models(argument)
    elif isinstance(annotation, type) and issubclass(annotation, OdfModel):
        yield annotation
