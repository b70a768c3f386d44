"""Completion: what the shell offers after TAB. Never an error and never a change, whatever the home is."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kamu_assets.settings import Settings

# Names without an account are its own.
_OWN = "kamu"


def dataset_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names in the home that begin with what is typed, without an account and with it."""
    from kamu_assets.settings import load_settings

    try:
        names = _names(load_settings(context.params.get("home")))
    except Exception:  # noqa: BLE001 - the shell would show it in the middle of a line
        return []
    return [name for name in names if name.startswith(incomplete)]


def _names(settings: "Settings") -> list[str]:
    from kamu_assets.node import registered_aliases

    aliases = registered_aliases(settings)
    own = [str(alias.name) for alias in aliases if str(alias.account) == _OWN]
    return [*own, *map(str, aliases)]
