"""Databases for the tests of stores: each test runs on SQLite and on a real PostgreSQL."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from kamu_assets.database.database import Database
from kamu_assets.durability import Durability
from tests.support.postgres import fresh_database
from tests.support.redis_server import redis_server

DIALECTS = ("sqlite", "postgres")


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, for tests that open it themselves or in several processes."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture(params=DIALECTS)
def migrated_url(request: pytest.FixtureRequest) -> str:
    """URL of a database that has its tables."""
    return str(request.getfixturevalue(f"migrated_{request.param}"))


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A database with its tables and no rows."""
    with opened(migrated_url) as database:
        yield database


# Migrating is slower than most tests: it is done once, and its result copied.
@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "node.db"
    with opened(f"sqlite:///{path}") as database:
        database.migrate()
    return path


@pytest.fixture
def migrated_sqlite(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copyfile(sqlite_template, tmp_path / 'node.db')}"


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        with opened(url) as database:
            database.migrate()
        yield str(make_url(url).database)


@pytest.fixture
def migrated_postgres(postgres_url: str, postgres_template: str) -> Iterator[str]:
    with fresh_database(postgres_url, template=postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis that nobody kills; tests keep apart by the names of their streams."""
    with redis_server() as server:
        yield server.url


@contextlib.contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.open(url, durability=Durability.FAST)
    try:
        yield database
    finally:
        database.close()
