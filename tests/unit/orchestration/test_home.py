"""A later start of a node skips the preparation, but only where nothing has changed since."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import is_prepared, mark_prepared, watch, write_files


@pytest.fixture
def config(tmp_path: Path) -> AdapterConfig:
    config = AdapterConfig(dagster_home=tmp_path, run_directory=tmp_path / "run", database_url="sqlite://")
    write_files(config)
    # Dagster's storages do that.
    (tmp_path / "history").mkdir()
    return config


def test_a_preparation_that_was_cut_off_is_done_again(config: AdapterConfig) -> None:
    assert not is_prepared(config)


def test_a_preparation_is_remembered(config: AdapterConfig) -> None:
    mark_prepared(config)

    assert is_prepared(config)


def test_other_settings_want_another_preparation(config: AdapterConfig) -> None:
    mark_prepared(config)

    assert not is_prepared(replace(config, catalog_port=4711))
    assert not is_prepared(replace(config, workers=7))


def test_what_was_prepared_may_be_lost(config: AdapterConfig) -> None:
    mark_prepared(config)
    shutil.rmtree(config.dagster_home / "history")

    assert not is_prepared(config)


def test_another_version_of_dagster_prepares_again(config: AdapterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_prepared(config)
    monkeypatch.setattr("kamu_assets.orchestration.home.version", lambda _: "99.9")

    assert not is_prepared(config)


def test_the_address_of_a_postgres_is_not_in_what_dagster_shows(config: AdapterConfig) -> None:
    url = "postgresql+psycopg2://dagster:secret@host/db"
    on_postgres = replace(config, postgres_url=url)

    write_files(on_postgres)

    shown = yaml.safe_load((config.dagster_home / "dagster.yaml").read_text())
    assert shown["run_storage"]["class"] == "PostgresRuns"
    assert "secret" not in str(shown)
    file = Path(shown["run_storage"]["config"]["url_file"])
    assert file.read_text() == url
    assert file.stat().st_mode & 0o077 == 0


def test_a_postgres_is_prepared_at_each_start(config: AdapterConfig) -> None:
    on_postgres = replace(config, postgres_url="postgresql://host/db")
    write_files(on_postgres)
    mark_prepared(on_postgres)

    assert not is_prepared(on_postgres)


def test_a_home_is_missed_with_its_history_or_without(config: AdapterConfig) -> None:
    write_files(config)
    mark_prepared(config)
    is_lost = watch(config)
    assert not is_lost()

    shutil.rmtree(config.dagster_home / "history")
    assert is_lost()
    (config.dagster_home / "history").mkdir()
    mark_prepared(config)
    assert not is_lost()
    shutil.rmtree(config.dagster_home)
    assert is_lost()


def test_a_home_of_postgres_is_missed_with_its_files(config: AdapterConfig) -> None:
    config = replace(config, postgres_url="postgresql://kamu@localhost/dagster")
    write_files(config)
    is_lost = watch(config)
    assert not is_lost()

    shutil.rmtree(config.dagster_home)

    assert is_lost()
