"""What the settings come to for Dagster."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.settings import SettingsError, adapter_config, load_settings

OWN = "postgresql+psycopg2://kamu:secret@db/kamu"
OTHER = "postgresql://dagster:secret@db/dagster"


def config(home: Path, **sections: dict[str, object]) -> AdapterConfig:
    return adapter_config(load_settings(home, **sections))


def test_dagster_is_on_sqlite_unless_there_is_a_postgres(tmp_path: Path) -> None:
    assert config(tmp_path).postgres_url is None
    assert config(tmp_path, database={"url": OWN}).postgres_url == OWN
    assert config(tmp_path, dagster={"postgres_url": OTHER}).postgres_url == OTHER
    assert config(tmp_path, database={"url": OWN}, dagster={"postgres_url": OTHER}).postgres_url == OTHER


def test_dagster_knows_no_other_databases(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"dagster\.postgres_url"):
        config(tmp_path, dagster={"postgres_url": "mysql://db/dagster"})


def test_one_setting_splits_the_catalog(tmp_path: Path) -> None:
    split = config(tmp_path, dagster={"catalog_shards": 5, "shard_by": "account"})

    assert (split.catalog_shards, split.shard_by) == (5, "account")
    with pytest.raises(SettingsError, match=r"dagster\.shard_by"):
        config(tmp_path, dagster={"shard_by": "colour"})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8081"),
        ("0.0.0.0", "http://localhost:8081"),  # noqa: S104 - nothing listens
        ("::1", "http://[::1]:8081"),
    ],
)
def test_links_lead_to_where_the_node_listens(tmp_path: Path, host: str, url: str) -> None:
    assert config(tmp_path, http={"host": host, "port": 8081}).node_url == url
