"""Settings for people and for scripts."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import yaml

from kamu_assets.errors import NotFoundError
from kamu_assets.settings import SettingRow, Settings, describe_settings

_WIDTH = 76


def chosen_settings(settings: Settings, key: str | None) -> Sequence[SettingRow]:
    """All settings, or the one of this key and those below it."""
    rows = [
        row for row in describe_settings(settings) if key is None or row.key == key or row.key.startswith(f"{key}.")
    ]
    if not rows:
        raise NotFoundError(f"no setting is called {key!r}; `kamu-node settings` shows those there are")
    return rows


def setting_facts(row: SettingRow) -> dict[str, Any]:
    """One setting for scripts."""
    return {"key": row.key, "value": yaml.safe_load(row.value), "from": row.source, "meaning": row.meaning}


def setting_text(row: SettingRow) -> str:
    """One setting at length, for people."""
    meaning = fill(row.meaning, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"{row.key}: {row.value}  ({row.source})\n{meaning}"
