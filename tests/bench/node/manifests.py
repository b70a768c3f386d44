"""The datasets of the group `node`."""

from __future__ import annotations

from tests.support import manifests

_READ = manifests.reading("event_time TIMESTAMP", "city STRING", "population BIGINT")


def root(name: str) -> str:
    """A root that takes pushes of NDJSON."""
    return manifests.pushed_root(name, _READ)


def derivative(name: str, *, of: str) -> str:
    """What is computed from one root, record by record."""
    query = "select event_time, city, population * 2 as doubled from counted"
    return manifests.derivative(name, query, f"kamu/{of}", alias="counted")


def rows(first: int, count: int) -> str:
    """Records as NDJSON, numbered."""
    return "".join(
        f'{{"event_time": "2024-01-01T00:00:{number % 60:02d}Z", "city": "c{number}", "population": {number}}}\n'
        for number in range(first, first + count)
    )
