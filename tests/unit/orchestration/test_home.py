"""A later start of a node skips the preparation, but only where nothing has changed since."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import is_prepared, mark_prepared, write_files


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
