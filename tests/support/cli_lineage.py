"""A home with datasets that read each other: raw ← clean ← (daily, weekly), and other, which nobody reads."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import Home
from tests.support.manifests import derivative, pushed_root, reading

MANIFESTS = (
    pushed_root("raw", reading("id INT", "name STRING")),
    pushed_root("other", reading("id INT")),
    derivative("clean", "select event_time, id, name from raw where id > 0", "raw"),
    derivative("daily", "select event_time, id from clean", "clean"),
    derivative("weekly", "select event_time, id from clean", "clean"),
)


def home_with_lineage(folder: Path) -> Home:
    """Five datasets of the admin, without data."""
    home = Home(folder)
    home.ok("add", home.write("all.yaml", "---\n".join(MANIFESTS)))
    return home


def names(home: Home) -> list[str]:
    """What there is."""
    return [row["name"] for row in home.json("list")]
