from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.shards import (
    COUNT_FILE,
    MOST_SHARDS,
    SHARD_VARIABLE,
    shard_count,
    shard_of,
    shards,
    shards_wanted,
)
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.home import write_files, write_shard_count
from kamu_assets.orchestration.processes import dagster_commands

ONE = AdapterConfig(dagster_home=Path("/home/dagster"), run_directory=Path("/home/run"), database_url="sqlite://")
FOUR = replace(ONE, catalog_shards=4, catalog_port=5000, shard_port=6000)
IDS = [DatasetID.seeded(f"dataset {number}".encode()) for number in range(400)]


def test_a_catalog_in_one_piece_keeps_its_names() -> None:
    (only,) = shards(ONE)

    assert (only.location, only.port, only.state_key) == ("catalog", 4000, "DatasetCatalog")
    assert {shard_of(ONE, each, "kamu", count=1) for each in IDS} == {only}


def test_locations_have_names_ports_and_states_of_their_own() -> None:
    assert [(each.location, each.port) for each in shards(FOUR)] == [
        ("catalog", 5000),
        ("catalog-2", 6000),
        ("catalog-3", 6001),
        ("catalog-4", 6002),
    ]
    assert len({each.state_key for each in shards(FOUR)}) == 4


def test_datasets_are_spread_evenly() -> None:
    counts = Counter(shard_of(FOUR, each, "kamu", count=4).number for each in IDS)

    assert min(counts.values()) > 60


def test_a_dataset_stays_where_it_is() -> None:
    # Written down: another release must not move them all.
    assert [shard_of(FOUR, each, "kamu", count=4).number for each in IDS[:8]] == [4, 4, 1, 3, 3, 4, 4, 2]


def test_one_more_location_takes_some_of_each_and_leaves_the_others() -> None:
    before = {each: shard_of(FOUR, each, "kamu", count=4).number for each in IDS}
    after = {each: shard_of(FOUR, each, "kamu", count=5).number for each in IDS}

    moved = [each for each in IDS if before[each] != after[each]]
    assert {after[each] for each in moved} == {5}
    assert {before[each] for each in moved} == {1, 2, 3, 4}
    assert len(moved) < len(IDS) / 3


@pytest.mark.parametrize(
    ("datasets", "now", "wanted"),
    [
        (0, 1, 1),
        (2_000, 1, 1),
        (2_001, 1, 2),
        (10_000, 1, 5),
        (10_001, 5, 6),
        # A few less change nothing; much less does.
        (7_000, 5, 5),
        (5_000, 5, 5),
        (3_999, 5, 2),
        (10_000_000, 5, MOST_SHARDS),
    ],
)
def test_a_catalog_grows_with_its_datasets_and_shrinks_when_most_are_gone(datasets: int, now: int, wanted: int) -> None:
    assert shards_wanted(ONE, datasets=datasets, now=now) == wanted
    assert shards_wanted(FOUR, datasets=datasets, now=4) == 4


def test_what_was_decided_is_found_again(tmp_path: Path) -> None:
    config = replace(ONE, dagster_home=tmp_path)
    assert shard_count(config) == 1

    write_shard_count(config, 3)

    assert [each.location for each in shards(config)] == ["catalog", "catalog-2", "catalog-3"]
    assert "catalog-3" in (tmp_path / "workspace.yaml").read_text()
    assert shard_count(replace(config, catalog_shards=2)) == 2


@pytest.mark.parametrize("text", ["", "many", "0", "-1", "1.5"])
def test_a_damaged_decision_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / COUNT_FILE).write_text(text)

    assert shard_count(replace(ONE, dagster_home=tmp_path)) == 1


def test_an_account_may_stay_together() -> None:
    config = replace(FOUR, shard_by="account")

    assert len({shard_of(config, each, name, count=4) for each in IDS for name in ("acme", "ACME")}) == 1
    assert len({shard_of(config, IDS[0], f"account-{number}", count=4) for number in range(40)}) == 4


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
