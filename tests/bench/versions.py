"""Of what the measurements were taken."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

_PACKAGES = ("kamu-node", "dagster", "datafusion", "pyarrow", "sqlalchemy")


@cache
def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
