"""A node and its Dagster in one PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import DropSchema

from kamu_assets.orchestration.instance import open_instance, prepare
from kamu_assets.orchestration.storages.postgres import SCHEMA, create_schema
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.postgres import fresh_database

PASSWORD = "not-to-be-shown"


@pytest.fixture
def home(postgres_url: str, tmp_path: Path) -> Iterator[DagsterHome]:
    with fresh_database(postgres_url) as url:
        # Taken for good by a server that asks for none.
        named = make_url(url).set(password=PASSWORD) if make_url(url).password is None else make_url(url)
        with dagster_home(tmp_path, database_url=named.render_as_string(hide_password=False)) as home:
            yield home


def tables(home: DagsterHome, schema: str) -> set[str]:
    engine = create_engine(str(home.config.postgres_url), poolclass=NullPool)
    return set(inspect(engine).get_table_names(schema))


def test_dagster_has_a_schema_of_its_own(home: DagsterHome) -> None:
    theirs, ours = tables(home, SCHEMA), tables(home, "public")

    assert {"runs", "event_logs", "job_ticks", "alembic_version"} <= theirs
    assert {"datasets", "warm_runs", "alembic_version"} <= ours
    assert theirs & ours == {"alembic_version"}
    assert not list(home.config.dagster_home.rglob("*.db"))


def test_the_configuration_that_dagster_shows_has_no_password(home: DagsterHome) -> None:
    password = make_url(str(home.config.postgres_url)).password

    with home.instance() as instance:
        shown = instance.info_str()

    assert "PostgresRuns" in shown
    assert str(password) not in shown


def test_a_database_that_was_replaced_gets_its_tables_at_the_next_start(home: DagsterHome) -> None:
    engine = create_engine(str(home.config.postgres_url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(DropSchema(SCHEMA, cascade=True))

    prepare(home.config)

    with open_instance(home.config) as instance:
        assert instance.get_runs_count() == 0


def test_making_room_twice_changes_nothing(home: DagsterHome) -> None:
    before = tables(home, SCHEMA)

    create_schema(str(home.config.postgres_url))

    assert tables(home, SCHEMA) == before
