"""A catalog that becomes too big for one code server gets more of them, while people look at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from kamu_assets.flows.model import Flow, FlowState
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.orchestration.catalog.shards import shard_of
from kamu_assets.settings import adapter_config
from tests.support.ports import ports_in_a_row
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, numbers, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 150.0
PER_SERVER = 8
NUMBERS = [3, 4, 5]
FIRST = [f"first{number}" for number in range(PER_SERVER)]
LATER = [f"later{number}" for number in range(2 * PER_SERVER)]

Key = tuple[str, ...]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("node")
    dagster = {"shard_datasets": PER_SERVER, "shard_port": ports_in_a_row(2)}
    with running_node(home, dagster=dagster, storage={"durability": "fast"}) as node:
        yield node


def keys(names: Sequence[str]) -> set[Key]:
    return {("kamu", name) for name in names}


def belongs(node: RunningNode, *, servers: int) -> dict[Key, str]:
    """The code location where each dataset should be."""
    config = adapter_config(node.settings)
    with node.opened() as home:
        entries = home.datasets.list(home.auth.admin_caller())
    shards = {each: shard_of(config, each.id, str(each.account), count=servers) for each in entries}
    return {(str(each.account), str(each.name)): shard.location for each, shard in shards.items()}


def servers(node: RunningNode) -> set[str]:
    return {name for name in node.pids() if name.startswith("catalog")}


def ended(node: RunningNode, run_id: str) -> str:
    """How the run ended."""

    def look() -> str | None:
        run = node.ui.run(run_id)
        return run.status if run and run.has_ended else None

    return wait_until(look, patience=PATIENCE, every=0.2)


def run_of_flow(node: RunningNode, name: str) -> str:
    """Ask the node for a run, and wait for its end."""
    with node.opened() as home:
        admin = home.auth.admin_caller()
        asked = home.flows.request_run(admin, DatasetAlias.parse(name))

        def look() -> Flow | None:
            flow = home.flows.get(admin, asked.id)
            return flow if flow.state is FlowState.FINISHED else None

        return str(wait_until(look, patience=PATIENCE).run_id)


def test_a_catalog_grows_while_it_is_used_and_shrinks_again(node: RunningNode) -> None:
    add(node, *map(pushed_root, FIRST))
    wait_until(lambda: keys(FIRST) <= node.ui.assets(), patience=PATIENCE, every=0.2)
    for name in FIRST:
        node.push(f"kamu/{name}", records(NUMBERS))
    wait_until(lambda: all(node.ui.materializations(key) for key in keys(FIRST)), patience=PATIENCE, every=0.2)
    assert servers(node) == {"catalog"}
    webserver = node.pids()["webserver"]

    add(node, *map(pushed_root, LATER))

    places = belongs(node, servers=3)

    def is_spread() -> bool:
        now = node.ui.locations()
        assert keys(FIRST) <= now.keys(), "datasets vanished while the catalog was spread"
        return now == places

    wait_until(is_spread, patience=PATIENCE, every=0.2)
    assert servers(node) == {*places.values()} == {"catalog", "catalog-2", "catalog-3"}
    assert node.pids()["webserver"] == webserver
    _check_runs(node, places)

    with node.opened() as home:
        admin = home.auth.admin_caller()
        for name in [*FIRST[1:], *LATER]:
            home.datasets.delete(admin, home.datasets.resolve(admin, DatasetAlias.parse(f"kamu/{name}")).id)

    wait_until(lambda: node.ui.locations() == {("kamu", FIRST[0]): "catalog"}, patience=PATIENCE, every=0.2)
    wait_until(lambda: servers(node) == {"catalog"}, patience=PATIENCE)
    assert numbers(node, FIRST[0]) == NUMBERS


def _check_runs(node: RunningNode, places: dict[Key, str]) -> None:
    """Datasets that moved keep their history, and runs of all locations come from where the dataset is."""
    moved = [key for key, location in places.items() if key in keys(FIRST) and location != "catalog"]
    assert moved
    assert all(node.ui.materializations(key) for key in moved)
    for location in {*places.values()}:
        key = next(key for key, place in places.items() if place == location)
        by_button = node.ui.materialize(key, location=location)
        assert ended(node, by_button) == "SUCCESS"
        by_flow = run_of_flow(node, "/".join(key))
        assert {node.ui.location_of_run(run) for run in (by_button, by_flow)} == {location}
