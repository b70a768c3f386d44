"""Databases for the tests of stores: each test runs on SQLite and on a real PostgreSQL."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.database.database import Database
from kamu_assets.durability import Durability

DIALECTS = ("sqlite", "postgres")


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, for tests that open it themselves or in several processes."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating is slower than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "node.db"
    with opened(f"sqlite:///{path}") as database:
        database.migrate()
    return path


@pytest.fixture
def migrated_url(database_url: str, migrated_file: Path) -> str:
    """URL of a database that has its tables."""
    if database_url.startswith("sqlite"):
        shutil.copyfile(migrated_file, database_url.removeprefix("sqlite:///"))
    else:
        with opened(database_url) as database:
            database.migrate()
    return database_url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database with its tables and no rows."""
    with opened(migrated_url) as database:
        yield database


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.open(url, durability=Durability.FAST)
    try:
        yield database
    finally:
        database.close()
