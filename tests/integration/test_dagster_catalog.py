"""The catalog location of a real code server follows the registry, in process and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterInstance
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._grpc.client import DagsterGrpcClient
from dagster._serdes import deserialize_value
from sqlalchemy import make_url, text

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.names import DatasetName
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.catalog.shards import shards
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.instance import open_instance, prepare
from kamu_assets.orchestration.names import key_of
from kamu_assets.orchestration.origins import remote_job_origin
from kamu_assets.orchestration.processes import catalog_command, flows_command
from tests.support.builders import START, a_schema
from tests.support.dagster_adapter import reporter_of
from tests.support.dagster_home import RECORDS, DagsterHome, config_of, dagster_home
from tests.support.heart import ADMIN
from tests.support.ports import free_port
from tests.support.waiting import wait_until

# Records of a dataset in the place of another.
TAKEN_OVER = 3


@pytest.fixture(scope="module")
def home(database_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    with dagster_home(tmp_path_factory.mktemp("node"), database_url=database_url) as home:
        home.start(catalog_command(home.config))
        yield home


@pytest.fixture(scope="module")
def client(home: DagsterHome) -> DagsterGrpcClient:
    client = DagsterGrpcClient(host=home.config.host, port=home.config.catalog_port)
    wait_until(lambda: _is_up(client))
    return client


@pytest.fixture(scope="module")
def instance(home: DagsterHome) -> Iterator[DagsterInstance]:
    with home.instance() as instance:
        yield instance


@pytest.fixture
def publisher(home: DagsterHome, instance: DagsterInstance, client: DagsterGrpcClient) -> CatalogPublisher:
    publisher = CatalogPublisher(
        instance=instance,
        config=home.config,
        catalog=home.parts.catalog,
        database=home.parts.database,
        outbox=home.parts.outbox,
        # Time stands still: nothing is put off.
        monotonic=float,
    )
    publisher.load()
    publisher.step()
    return publisher


def _is_up(client: DagsterGrpcClient) -> bool:
    try:
        return bool(client.get_server_id(timeout=2))
    except Exception:  # noqa: BLE001 - not yet
        return False


def assets(client: DagsterGrpcClient, config: AdapterConfig) -> set[AssetKey]:
    """What the code server lists."""
    origin = remote_job_origin(config, shards(config)[0]).repository_origin
    data = client.external_repository(origin, defer_snapshots=True)
    return {node.asset_key for node in deserialize_value(data, RepositorySnap).asset_nodes}


def test_a_new_dataset_appears_without_a_restart(
    home: DagsterHome, client: DagsterGrpcClient, publisher: CatalogPublisher
) -> None:
    before = client.get_server_id()

    root = home.parts.root("appears")
    home.parts.derivative("follows", root)
    publisher.step()

    assert {AssetKey(["kamu", "appears"]), AssetKey(["kamu", "follows"])} <= assets(client, home.config)
    assert client.get_server_id() != before


def test_a_state_that_is_there_already_changes_nothing(
    client: DagsterGrpcClient, publisher: CatalogPublisher, instance: DagsterInstance
) -> None:
    before = (client.get_server_id(), _version(instance))

    (location,) = publisher._locations._locations.values()
    location.is_behind = True
    publisher.step()
    publisher.load()

    assert (client.get_server_id(), _version(instance)) == before


def test_data_alone_publishes_nothing(
    home: DagsterHome, publisher: CatalogPublisher, instance: DagsterInstance
) -> None:
    root = home.parts.root("gains-data")
    publisher.step()
    before = _version(instance)

    home.parts.push(root.id)
    publisher.step()

    assert _version(instance) == before


def test_renames_and_deletions_are_followed(
    home: DagsterHome, client: DagsterGrpcClient, publisher: CatalogPublisher
) -> None:
    renamed, deleted = home.parts.root("old-name"), home.parts.root("to-delete")
    publisher.step()

    home.parts.datasets.rename(ADMIN, renamed.id, DatasetName("new-name"))
    home.parts.datasets.delete(ADMIN, deleted.id)
    publisher.step()

    listed = assets(client, home.config)
    assert AssetKey(["kamu", "new-name"]) in listed
    assert not {AssetKey(["kamu", "old-name"]), AssetKey(["kamu", "to-delete"])} & listed


def test_the_history_goes_with_a_name_that_no_dataset_has(
    home: DagsterHome, instance: DagsterInstance, publisher: CatalogPublisher
) -> None:
    renamed, deleted = told(home, instance, "told-and-renamed"), told(home, instance, "told-and-deleted")
    publisher.step()

    after = home.parts.datasets.rename(ADMIN, renamed.id, DatasetName("told-elsewhere"))
    home.parts.datasets.delete(ADMIN, deleted.id)
    publisher.step()
    reporter_of(home.parts, instance).report(renamed.id)

    assert not {key_of(renamed.alias), key_of(deleted.alias)} & set(instance.get_asset_keys())
    assert row_counts(instance, after) == [RECORDS]


def test_a_dataset_that_takes_a_name_over_has_no_history_of_the_one_before(
    home: DagsterHome, instance: DagsterInstance, publisher: CatalogPublisher
) -> None:
    before = told(home, instance, "taken-over")
    publisher.step()

    again = taken_over(home, before)
    publisher.step()
    reporter_of(home.parts, instance).report(again.id)

    assert row_counts(instance, again) == [TAKEN_OVER]


def test_what_is_told_of_a_dataset_before_its_name_is_heard_of_stays(
    home: DagsterHome, instance: DagsterInstance, publisher: CatalogPublisher
) -> None:
    before = told(home, instance, "taken-over-soon")
    publisher.step()

    again = taken_over(home, before)
    reporter_of(home.parts, instance).report(again.id)
    publisher.step()

    assert row_counts(instance, again)[0] == TAKEN_OVER


def taken_over(home: DagsterHome, before: DatasetEntry) -> DatasetEntry:
    """Another dataset in the place of one."""
    home.parts.datasets.delete(ADMIN, before.id)
    again = replace(before, id=DatasetID.seeded(f"{before.name} again".encode()))
    home.parts.committer.create(again, (a_schema(),), system_time=START)
    home.parts.push(again.id, records=TAKEN_OVER)
    return again


def row_counts(instance: DagsterInstance, entry: DatasetEntry) -> list[object]:
    """What is told under its name, newest first."""
    records = instance.fetch_materializations(key_of(entry.alias), limit=10).records
    told = [record.asset_materialization for record in records]
    return [each.metadata["dagster/row_count"].value for each in told if each]


def told(home: DagsterHome, instance: DagsterInstance, name: str) -> DatasetEntry:
    """A root whose records Dagster knows of."""
    root = home.parts.root(name)
    home.parts.push(root.id)
    reporter_of(home.parts, instance).report(root.id)
    return root


def test_a_new_description_is_published(
    home: DagsterHome, publisher: CatalogPublisher, instance: DagsterInstance
) -> None:
    root = home.parts.root("described")
    publisher.step()
    before = _version(instance)

    home.parts.committer.commit(
        root.id,
        expected_head=None,
        events=[SetInfo(description="all about it")],
        system_time=home.parts.clock.now(),
    )
    publisher.step()

    assert _version(instance) != before


@contextmanager
def _unanswered(home: DagsterHome) -> Iterator[None]:
    """Whoever asks the node's database now learns nothing of datasets."""
    url = make_url(home.config.database_url)
    if url.database is None or url.get_backend_name() != "sqlite":
        with home.parts.database.transaction() as tx:
            tx.execute(text("lock table datasets in access exclusive mode"))
            yield
        return
    file = Path(url.database)
    away = file.rename(file.with_suffix(".away"))
    yield
    away.rename(file)


def test_a_restarted_server_lists_the_same(home: DagsterHome, tmp_path: Path, publisher: CatalogPublisher) -> None:
    """DS-03: however slow the database is."""
    home.parts.root("survives")
    publisher.step()
    config = AdapterConfig(
        dagster_home=home.config.dagster_home,
        run_directory=home.config.run_directory,
        database_url=home.config.database_url,
        postgres_url=home.config.postgres_url,
        catalog_port=free_port(),
    )

    with _unanswered(home):
        home.start(catalog_command(config))
        client = DagsterGrpcClient(host=config.host, port=config.catalog_port)
        wait_until(lambda: _is_up(client))

        assert AssetKey(["kamu", "survives"]) in assets(client, config)
    client.shutdown_server()


def test_a_lost_state_file_is_published_anew(
    home: DagsterHome, publisher: CatalogPublisher, instance: DagsterInstance
) -> None:
    home.parts.root("still-there")
    publisher.step()
    before = _version(instance)
    for state in (home.config.dagster_home / "defs_state").rglob("*"):
        if state.is_file():
            state.unlink()

    CatalogPublisher(
        instance=instance,
        config=home.config,
        catalog=home.parts.catalog,
        database=home.parts.database,
        outbox=home.parts.outbox,
        # Time stands still: nothing is put off.
        monotonic=float,
    ).load()

    assert _version(instance) != before


def test_the_flows_location_loads(home: DagsterHome) -> None:
    home.start(flows_command(home.config))
    client = DagsterGrpcClient(host=home.config.host, port=home.config.flows_port)

    wait_until(lambda: _is_up(client))

    origin = remote_job_origin(home.config, shards(home.config)[0]).repository_origin
    data = client.external_repository(origin, defer_snapshots=True)
    assert "check_node" in data


def test_a_fresh_home_may_be_prepared_by_many_at_once(tmp_path: Path) -> None:
    config = config_of(tmp_path, catalog=free_port(), flows=free_port(), webserver=free_port())
    context = get_context("spawn")
    processes = [context.Process(target=prepare, args=(config,)) for _ in range(3)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(300)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    with open_instance(config) as instance:
        assert instance.get_required_daemon_types() == ["QUEUED_RUN_COORDINATOR", "SENSOR"]


def _version(instance: DagsterInstance) -> str | None:
    storage = instance.defs_state_storage
    assert storage is not None
    return storage.get_latest_version("DatasetCatalog")
