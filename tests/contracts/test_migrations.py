"""Migrations lead to exactly the tables of the code, once, however many processes run them."""

import importlib
import multiprocessing
import pkgutil
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, MetaData, UniqueConstraint, inspect, text

import kamu_assets
from kamu_assets.database import tables
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseNewerError, DatabaseOutdatedError
from kamu_assets.database.migrations import state
from kamu_assets.database.migrations.state import revisions
from kamu_assets.durability import Durability
from tests.contracts.conftest import opened


def all_tables() -> MetaData:
    """Those of every area: imports the modules that name the collection, and no others."""
    for module in modules_with_tables():
        importlib.import_module(module)
    return tables.metadata


def modules_with_tables() -> Iterator[str]:
    for module in pkgutil.walk_packages(kamu_assets.__path__, f"{kamu_assets.__name__}."):
        if not module.ispkg and ".migrations." not in module.name and declares_tables(module.name):
            yield module.name


def declares_tables(module: str) -> bool:
    spec = find_spec(module)
    return bool(
        spec and spec.origin and f"from {tables.__name__} import" in Path(spec.origin).read_text(encoding="utf-8")
    )


def differences(database: Database) -> list[Any]:
    with database.reading() as tx:
        context = MigrationContext.configure(
            tx._connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, all_tables()))


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    assert differences(database) == []


def test_migrations_make_the_keys_and_partial_indexes_of_the_code(database: Database) -> None:
    with database.reading() as tx:
        inspector = inspect(tx._connection)
        for table in all_tables().sorted_tables:
            assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [
                column.name for column in table.primary_key.columns
            ], table.name
            assert {check["name"] for check in inspector.get_check_constraints(table.name)} == {
                constraint.name for constraint in table.constraints if isinstance(constraint, CheckConstraint)
            }, table.name
            assert {unique["name"] for unique in inspector.get_unique_constraints(table.name)} == {
                constraint.name for constraint in table.constraints if isinstance(constraint, UniqueConstraint)
            }, table.name
            dialect = tx._connection.dialect.name
            assert {
                index["name"]: index.get("dialect_options", {}).get(f"{dialect}_where") is not None
                for index in inspector.get_indexes(table.name)
                if "duplicates_constraint" not in index
            } == {index.name: index.dialect_options["sqlite"]["where"] is not None for index in table.indexes}, (
                table.name
            )


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()

    database.require_current()
    assert differences(database) == []


def test_an_empty_database_is_outdated(database_url: str) -> None:
    with opened(database_url) as database, pytest.raises(DatabaseOutdatedError, match="kamu-node migrate"):
        database.require_current()


def test_a_database_of_another_version_is_outdated(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text(f"UPDATE {state.VERSION_TABLE} SET version_num = '0001_accounts'"))

    with pytest.raises(DatabaseOutdatedError) as outdated:
        database.require_current()

    assert outdated.value.found == "0001_accounts"
    assert outdated.value.expected == revisions()[-1]


def test_a_database_of_a_newer_node_is_left_alone(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text(f"UPDATE {state.VERSION_TABLE} SET version_num = '9999_from_the_future'"))

    with pytest.raises(DatabaseNewerError, match="9999_from_the_future, but this node knows none after"):
        database.migrate()


def migrate(url: str) -> None:
    Database.open(url, durability=Durability.FAST).migrate()


def test_processes_that_migrate_at_once_agree(database_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=migrate, args=(database_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    with opened(database_url) as database:
        database.require_current()
        assert differences(database) == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database_url) as database:
        with database.transaction() as tx:
            tx.execute(text("CREATE TABLE outbox_consumers (in_the_way INTEGER)"))

        with pytest.raises(Exception, match="outbox_consumers"):
            database.migrate()

        with database.reading() as tx:
            assert not tx.has_table("accounts")
            assert state.current(tx) is None


def test_the_numbers_of_migrations_are_their_order() -> None:
    numbers = [re.fullmatch(r"(\d{4})_[a-z_]+", revision) for revision in revisions()]

    assert all(numbers)
    assert [int(match[1]) for match in numbers if match] == list(range(1, len(numbers) + 1))


def test_a_folder_is_made_for_a_new_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("new") / "home" / "node.db"

    with opened(f"sqlite:///{path}") as database:
        database.migrate()

    assert path.is_file()
