"""A catalog in three locations is one graph to who looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
from dagster import AssetKey
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._grpc.client import DagsterGrpcClient
from dagster._serdes import deserialize_value

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.catalog.shards import Shard, shard_of, shards
from kamu_assets.orchestration.names import key_of
from kamu_assets.orchestration.origins import remote_job_origin
from kamu_assets.orchestration.processes import catalog_command, webserver_command
from tests.support.dagster_home import DagsterHome, config_of, home_of
from tests.support.dagster_ui import DagsterUi
from tests.support.ports import free_ports, ports_in_a_row
from tests.support.waiting import wait_until

SHARDS = 3
NODES = """{ assetNodes { assetKey { path } repository { location { name } } isMaterializable
  dependencyKeys { path } dependedByKeys { path } } }"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    catalog, flows, webserver = free_ports(3)
    folder = tmp_path_factory.mktemp("node")
    config = config_of(folder, catalog=catalog, flows=flows, webserver=webserver)
    with home_of(replace(config, catalog_shards=SHARDS, shard_port=ports_in_a_row(SHARDS - 1))) as home:
        for shard in shards(home.config):
            home.start(catalog_command(home.config, shard.number))
        for shard in shards(home.config):
            wait_until(partial(_is_up, _client(home, shard)))
        yield home


@pytest.fixture(scope="module")
def publisher(home: DagsterHome) -> Iterator[CatalogPublisher]:
    parts = home.parts
    with home.instance() as instance:
        publisher = CatalogPublisher(
            instance=instance,
            config=home.config,
            catalog=parts.catalog,
            database=parts.database,
            outbox=parts.outbox,
            # Time stands still: nothing is put off.
            monotonic=float,
        )
        publisher.load()
        yield publisher


@pytest.fixture(scope="module")
def ui(home: DagsterHome) -> Iterator[DagsterUi]:
    """The webserver, as soon as it answers."""
    home.start(webserver_command(home.config))
    with httpx.Client(timeout=60) as http:
        ui = DagsterUi(f"http://127.0.0.1:{home.config.webserver_port}", http)
        wait_until(lambda: _answers(ui))
        yield ui


def _answers(ui: DagsterUi) -> bool:
    try:
        ui.assets()
    except httpx.HTTPError:
        return False
    return True


def _client(home: DagsterHome, shard: Shard) -> DagsterGrpcClient:
    return DagsterGrpcClient(host=home.config.host, port=shard.port)


def _is_up(client: DagsterGrpcClient) -> bool:
    try:
        return bool(client.get_server_id(timeout=2))
    except Exception:  # noqa: BLE001 - not yet
        return False


def listed(home: DagsterHome, shard: Shard) -> set[AssetKey]:
    """What can be materialized there."""
    origin = remote_job_origin(home.config, shard).repository_origin
    data = _client(home, shard).external_repository(origin, defer_snapshots=True)
    nodes = deserialize_value(data, RepositorySnap).asset_nodes
    return {node.asset_key for node in nodes if node.is_materializable}


def shard(home: DagsterHome, entry: DatasetEntry) -> Shard:
    return shard_of(home.config, entry.id, str(entry.account), count=SHARDS)


def test_each_location_shows_its_own_datasets_and_reloads_alone(home: DagsterHome, publisher: CatalogPublisher) -> None:
    entries = [home.parts.root(f"own-{number}") for number in range(12)]
    publisher.step()

    for each in shards(home.config):
        mine = {key_of(entry.alias) for entry in entries if shard(home, entry) == each}
        assert mine
        assert listed(home, each) & {key_of(entry.alias) for entry in entries} == mine

    before = {each: _client(home, each).get_server_id() for each in shards(home.config)}
    late = home.parts.root("late")
    publisher.step()

    changed = [each for each in shards(home.config) if _client(home, each).get_server_id() != before[each]]
    assert changed == [shard(home, late)]


def test_dependencies_across_locations_resolve(home: DagsterHome, publisher: CatalogPublisher, ui: DagsterUi) -> None:
    root = home.parts.root("root")
    derivatives = [home.parts.derivative(f"derivative-{number}", root) for number in range(8)]
    publisher.step()
    elsewhere = [entry for entry in derivatives if shard(home, entry) != shard(home, root)]
    assert elsewhere

    nodes = wait_until(lambda: _nodes(ui, len(derivatives)))

    for entry in derivatives:
        node = nodes[key_of(entry.alias).path[-1]]
        assert node["repository"]["location"]["name"] == shard(home, entry).location
        assert node["dependencyKeys"] == [{"path": ["kamu", "root"]}]
    assert nodes["root"]["isMaterializable"]
    assert nodes["root"]["repository"]["location"]["name"] == shard(home, root).location
    assert {each["path"][-1] for each in nodes["root"]["dependedByKeys"]} == {str(each.name) for each in derivatives}


def test_a_run_over_two_locations_is_refused(home: DagsterHome, publisher: CatalogPublisher, ui: DagsterUi) -> None:
    entries = [home.parts.root(f"apart-{number}") for number in range(12)]
    publisher.step()
    keys = {shard(home, entry): key_of(entry.alias).path for entry in entries}
    assert len(keys) == SHARDS
    wait_until(lambda: {tuple(key) for key in keys.values()} <= ui.assets())

    launched = ui.launch([*keys.values()])
    # Who asks Dagster for more than one run at once.
    backfilled = ui.backfill([*keys.values()])

    assert launched["__typename"] == "InvalidSubsetError"
    assert backfilled["__typename"] == "PythonError"
    assert "one code location at a time, or run `kamu-node pull`" in backfilled["message"]
    assert ui.runs(tags={}) == []


def _nodes(ui: DagsterUi, derivatives: int) -> dict[str, dict[str, Any]] | None:
    """All assets, once every location has loaded."""
    try:
        nodes = ui.ask(NODES)["assetNodes"]
    except httpx.HTTPError:
        return None
    found = {node["assetKey"]["path"][-1]: node for node in nodes}
    return found if sum(name.startswith("derivative-") for name in found) == derivatives else None
