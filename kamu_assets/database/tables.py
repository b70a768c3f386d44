"""The one collection of tables: each area declares its own on `metadata`, in the module that queries them."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import MetaData

import kamu_assets

# Fixed names, so that migrations can speak of constraints on every database.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def load_tables() -> MetaData:
    """`metadata` with the tables of every area: imports the modules that name this one, and no others."""
    for module in _modules_with_tables():
        importlib.import_module(module)
    return metadata


def _modules_with_tables() -> Iterator[str]:
    for module in pkgutil.walk_packages(kamu_assets.__path__, f"{kamu_assets.__name__}."):
        if not module.ispkg and ".migrations." not in module.name and _declares_tables(module.name):
            yield module.name


def _declares_tables(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return bool(spec and spec.origin and f"from {__name__} import" in Path(spec.origin).read_text(encoding="utf-8"))
