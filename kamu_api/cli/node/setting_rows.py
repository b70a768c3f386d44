"""Settings for people and for scripts."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import yaml

from kamu_api.cli.node.setting_file import UnknownSettingError
from kamu_assets.setting_origins import SettingRow, describe_settings
from kamu_assets.settings import Settings

_WIDTH = 76


def chosen_settings(settings: Settings, key: str | None) -> Sequence[SettingRow]:
    """All settings, or the one of this key and those below it."""
    rows = [
        row for row in describe_settings(settings) if key is None or row.key == key or row.key.startswith(f"{key}.")
    ]
    if not rows:
        raise UnknownSettingError(key or "")
    return rows


def setting_facts(row: SettingRow) -> dict[str, Any]:
    """One setting for scripts."""
    return {
        "key": row.key,
        "value": yaml.safe_load(row.value),
        "from": row.source,
        "meaning": row.meaning,
        "allowed": row.allowed,
        "default": yaml.safe_load(row.default),
        "variable": row.variable,
    }


def setting_text(row: SettingRow) -> str:
    """One setting at length, for people."""
    more = [row.meaning, f"may be: {row.allowed}", f"default: {row.default}; in the environment: {row.variable}"]
    lines = [fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ") for text in more]
    return "\n".join([f"{row.key}: {row.value}  ({row.source})", *lines])
