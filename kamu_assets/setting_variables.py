"""What the environment says of settings: `KAMU_NODE__HTTP__PORT` is `http.port`, `RUST_LOG` is `log.level`."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from kamu_assets.setting_values import allowed_values, no_such_variable

VARIABLE_PREFIX = "KAMU_NODE__"
_DELIMITER = "__"
# As operators of Kamu know it; our own variable comes first.
_RUST_LOG = "RUST_LOG"
_LEVELS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "error": "error", "off": "error"}
_KAMU = "kamu"


def variable_mistakes(settings: type[BaseModel]) -> Iterator[str]:
    """One line per variable that says nothing: of a section that does not exist, or a map that is no JSON."""
    sections = list(settings.model_fields)
    for name, value in _given():
        section, *key = name.removeprefix(VARIABLE_PREFIX).lower().split(_DELIMITER)
        if section not in sections:
            yield no_such_variable(name, VARIABLE_PREFIX, sections)
        elif value and not _is_json(value) and (words := _mapping_words(settings, section, key)):
            yield f"{'.'.join([section, *key])}: must be {words}, in the environment as JSON ({name})"


def variable_of(path: Sequence[str]) -> str | None:
    """The variable that says a setting, if one does: its own, one for a part of it, or that of its whole section."""
    given = {name.upper(): (name, value) for name, value in _given() if value}
    section, *key = path
    whole = f"{VARIABLE_PREFIX}{section}".upper()
    own = _DELIMITER.join([whole, *key]).upper()
    parts = [name for upper, (name, _) in given.items() if f"{upper}{_DELIMITER}".startswith(f"{own}{_DELIMITER}")]
    if whole in given and all(part in given[whole][1] for part in key):
        parts.append(given[whole][0])
    if not parts and (section, *key) == ("log", "level") and _level_of_rust_log():
        return _RUST_LOG
    return next(iter(parts), None)


class RustLog(PydanticBaseSettingsSource):
    """The level that `RUST_LOG` names for all, or for kamu's own parts: `info`, `warn,kamu=debug`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self().get(field_name), field_name, True

    def __call__(self) -> dict[str, Any]:
        level = _level_of_rust_log()
        return {"log": {"level": level}} if level else {}


def _level_of_rust_log() -> str | None:
    """None without one, and for what says nothing of kamu: others may mean the variable as well."""
    found: dict[str, str] = {}
    for directive in os.environ.get(_RUST_LOG, "").split(","):
        target, _, level = directive.strip().rpartition("=")
        if level.lower() in _LEVELS:
            found[_KAMU if target.startswith(_KAMU) else target] = _LEVELS[level.lower()]
    return found.get(_KAMU) or found.get("")


def _given() -> list[tuple[str, str]]:
    return [(name, value) for name, value in os.environ.items() if name.upper().startswith(VARIABLE_PREFIX)]


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _mapping_words(settings: type[BaseModel], section: str, key: Sequence[str]) -> str | None:
    """What a map may be; None for what is no map."""
    model = settings.model_fields[section].annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    if not key:
        return f"a map with some of {', '.join(model.model_fields)}"
    if len(key) > 1 or key[0] not in model.model_fields:
        return None
    words = allowed_values(model, key[0])
    return words if words.startswith("a map") else None
