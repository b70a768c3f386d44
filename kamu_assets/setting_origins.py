"""Every setting as an operator sees it: its value in force, where that was said, what it means and may be."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ByteSize, SecretStr

from kamu_assets.setting_sections import Section
from kamu_assets.setting_values import allowed_values
from kamu_assets.setting_variables import VARIABLE_PREFIX, variable_of
from kamu_assets.settings import Settings

# Of a URL: before its host, and among what follows a question mark.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^/\s]*(?=@)")
_PARAMETER = re.compile(r"(?i)([?&][^=&\s]*(?:password|passphrase|secret|token)[^=&\s]*=)[^&\s]*")


class SettingRow(BaseModel):
    """One setting as an operator sees it."""

    key: str
    # Like the default as YAML, on one line.
    value: str
    source: Literal["default", "node.yaml", "environment", "command"]
    meaning: str
    # What it may be.
    allowed: str
    default: str
    variable: str


def describe_settings(settings: Settings) -> list[SettingRow]:
    """Every key with its value in force, where that was said and its meaning, from the model itself."""
    return _rows(settings, _content_of(settings.home / "node.yaml"))


def default_settings() -> list[SettingRow]:
    """The same for a node of which nothing was said."""
    return _rows(Settings.model_construct(home=Path("~/.kamu-node")), {})


def _rows(settings: Settings, file: Mapping[str, Any]) -> list[SettingRow]:
    rows = [_home_row(settings.home)]
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if isinstance(section, Section):
            rows += [_row(name, key, section, file) for key in type(section).model_fields]
    return rows


def _home_row(home: Path) -> SettingRow:
    return SettingRow(
        key="home",
        value=_text(home),
        source="command",
        meaning=Settings.model_fields["home"].description or "",
        allowed="a path, by --home or KAMU_NODE_HOME only",
        default="~/.kamu-node",
        variable="KAMU_NODE_HOME",
    )


def _row(name: str, key: str, section: Section, file: Mapping[str, Any]) -> SettingRow:
    kind = type(section)
    return SettingRow(
        key=f"{name}.{key}",
        value=_text(getattr(section, key)),
        source=_source((name, key), file),
        meaning=kind.model_fields[key].description or "",
        allowed=allowed_values(kind, key),
        default=_text(kind.model_fields[key].default),
        variable=f"{VARIABLE_PREFIX}{name.upper()}__{key.upper()}",
    )


def _text(value: object) -> str:
    """As YAML, on one line."""
    text = yaml.safe_dump(shown_value(value), default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def shown_value(value: object) -> object:
    """A value as it may be shown to anybody: no passwords, no secrets."""
    match value:
        case ByteSize():
            return value.human_readable()
        case Path() | SecretStr():
            return str(value)
        case str():
            return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***", value))
        case Mapping():
            return {key: shown_value(each) for key, each in value.items()}
        case tuple():
            return [shown_value(each) for each in value]
        case _:
            return value


def _source(path: tuple[str, ...], file: Mapping[str, Any]) -> Literal["default", "node.yaml", "environment"]:
    if variable_of(path) is not None:
        return "environment"
    section, key = path
    part = file.get(section)
    return "node.yaml" if isinstance(part, Mapping) and key in part else "default"


def _content_of(file: Path) -> Mapping[str, Any]:
    found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    return found if isinstance(found, Mapping) else {}
