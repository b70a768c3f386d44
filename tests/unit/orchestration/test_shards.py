from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import write_files
from kamu_assets.orchestration.processes import dagster_commands
from kamu_assets.orchestration.shards import SHARD_VARIABLE, shard_of, shards

ONE = AdapterConfig(dagster_home=Path("/home/dagster"), run_directory=Path("/home/run"), database_url="sqlite://")
FOUR = replace(ONE, catalog_shards=4, catalog_port=5000, shard_port=6000)
IDS = [DatasetID.seeded(f"dataset {number}".encode()) for number in range(400)]


def test_a_catalog_in_one_piece_keeps_its_names() -> None:
    (only,) = shards(ONE)

    assert (only.location, only.port, only.state_key) == ("catalog", 4000, "DatasetCatalog")
    assert {shard_of(ONE, each, "kamu") for each in IDS} == {only}


def test_locations_have_names_ports_and_states_of_their_own() -> None:
    assert [(each.location, each.port) for each in shards(FOUR)] == [
        ("catalog", 5000),
        ("catalog-2", 6000),
        ("catalog-3", 6001),
        ("catalog-4", 6002),
    ]
    assert len({each.state_key for each in shards(FOUR)}) == 4


def test_datasets_are_spread_evenly() -> None:
    counts = Counter(shard_of(FOUR, each, "kamu").number for each in IDS)

    assert min(counts.values()) > 60


def test_a_dataset_stays_where_it_is() -> None:
    # Written down: another release must not move them all.
    assert [shard_of(FOUR, each, "kamu").number for each in IDS[:8]] == [3, 2, 3, 3, 1, 3, 3, 4]


def test_an_account_may_stay_together() -> None:
    config = replace(FOUR, shard_by="account")

    assert len({shard_of(config, each, name) for each in IDS for name in ("acme", "ACME")}) == 1
    assert len({shard_of(config, IDS[0], f"account-{number}") for number in range(40)}) == 4


def test_every_location_has_a_process_that_knows_which_it_is() -> None:
    servers = {each.name: each for each in dagster_commands(FOUR) if each.name.startswith("catalog")}

    assert [each.env[SHARD_VARIABLE] for each in servers.values()] == ["1", "2", "3", "4"]
    assert "6001" in servers["catalog-3"].argv


@pytest.mark.parametrize("config", [ONE, FOUR])
def test_the_workspace_names_every_location(config: AdapterConfig, tmp_path: Path) -> None:
    write_files(replace(config, dagster_home=tmp_path))

    found = yaml.safe_load((tmp_path / "workspace.yaml").read_text())["load_from"]

    places = {each["grpc_server"]["location_name"]: each["grpc_server"]["port"] for each in found}
    assert places == {"flows": 4001, **{each.location: each.port for each in shards(config)}}
