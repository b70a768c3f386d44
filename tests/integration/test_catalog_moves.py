"""Nobody who looks at Dagster's UI misses a dataset while the catalog is spread, whatever is slow or dies meanwhile."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.locations import CatalogLocations
from kamu_assets.orchestration.catalog.shards import shard_of
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.catalog.webserver import Begin
from kamu_assets.orchestration.home import write_files
from tests.support.dagster_home import config_of
from tests.support.ports import free_ports, ports_in_a_row
from tests.support.simulated_catalog import SimulatedCatalog, simulated_catalog

MOST = 3
PER_SERVER = 4
FEW, MANY = PER_SERVER, MOST * PER_SERVER
ROWS = [
    CatalogRow(id=DatasetID.seeded(str(number).encode()), account="kamu", name=f"d{number}", kind="Root")
    for number in range(MANY)
]
NAMES = ("catalog", "catalog-2", "catalog-3")
# What the publisher waits for between two steps.
STEP_SECONDS = 2.0


def _at_once(work: Callable[[], None]) -> None:
    """A story has one order, whatever the threads of this machine do."""
    work()


@dataclass
class Story:
    """The publisher's part of a scheduler process, with the others at the test's mercy."""

    around: SimulatedCatalog
    now: float = 0.0
    rows: list[CatalogRow] = field(default_factory=list)
    # What somebody may have seen in the UI.
    seen: set[DatasetID] = field(default_factory=set)
    begin: Begin = _at_once

    def __post_init__(self) -> None:
        self.restart_scheduler()

    def restart_scheduler(self) -> None:
        config, instance = self.around.config, self.around.instance
        self.locations = CatalogLocations(
            instance=instance, config=config, monotonic=lambda: self.now, begin=self.begin
        )
        self.locations.load()
        self.locations.publish(self.rows)

    def have(self, datasets: int) -> None:
        """Add datasets, or delete the last ones."""
        self.rows = ROWS[:datasets]
        self.locations.publish(self.rows)

    def step(self) -> None:
        """As the publisher does."""
        self._reload()
        if self.locations.look_after_servers():
            self.locations.publish(self.rows)
            self._reload()
        self.now += STEP_SECONDS

    def look(self, location: str) -> None:
        self.around.webserver.look(location)

    def restart_server(self, location: str) -> None:
        server = self.around.servers[location]
        if server.is_up:
            server.start()

    def check(self) -> None:
        """Nothing that was seen, and is still there, has vanished."""
        webserver = self.around.webserver
        if not webserver.is_up:
            self.seen.clear()
            return
        self.seen &= {row.id for row in self.rows}
        assert self.seen <= webserver.datasets, "datasets vanished"
        self.seen |= webserver.datasets & {row.id for row in self.rows}

    def come_to_rest(self) -> None:
        """Let everybody do what they do."""
        self.around.webserver.start()
        self.around.webserver.is_slow = False
        for _ in range(20):
            self.around.supervise()
            self.step()
            self.check()
            for name in NAMES:
                self.look(name)
                self.check()
        assert not self.locations.are_behind

    def assert_all_is_where_it_belongs(self) -> None:
        config = self.around.config
        count = sum(server.is_up for server in self.around.servers.values())
        belongs: dict[str, set[DatasetID]] = {name: set() for name in NAMES[:count]}
        for row in self.rows:
            belongs[shard_of(config, row.id, row.account, count=count).location].add(row.id)
        assert {name: set(shown) for name, (_, shown) in self.around.webserver.view.items()} == belongs

    def _reload(self) -> None:
        while self.locations.reload():
            self.locations.publish(self.rows)


@contextmanager
def a_story() -> Iterator[Story]:
    """A small catalog that is shown in one location."""
    catalog, flows, webserver = free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(Path(folder), catalog=catalog, flows=flows, webserver=webserver)
        config = replace(config, shard_datasets=PER_SERVER, shard_port=ports_in_a_row(MOST - 1))
        config.dagster_home.mkdir()
        write_files(config)
        with simulated_catalog(config, most=MOST) as around:
            story = Story(around)
            around.supervise()
            around.webserver.start()
            story.have(FEW)
            story.come_to_rest()
            yield story


@pytest.fixture
def story() -> Iterator[Story]:
    with a_story() as story:
        yield story


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_a_catalog_grows_and_shrinks_in_whatever_order_the_webserver_looks(
    story: Story, order: tuple[str, ...]
) -> None:
    for datasets in (MANY, FEW, 1):
        story.have(datasets)
        for _ in range(20):
            story.around.supervise()
            story.step()
            story.check()
            for name in order:
                story.look(name)
                story.check()
        story.assert_all_is_where_it_belongs()


def test_servers_of_what_is_shown_are_left_in_peace(story: Story) -> None:
    server = story.around.servers["catalog"]
    before = server.looks

    for _ in range(20):
        story.step()

    assert 0 < server.looks - before <= 3
    story.restart_server("catalog")
    story.come_to_rest()
    story.assert_all_is_where_it_belongs()


def test_datasets_stay_where_they_were_until_the_webserver_has_looked(story: Story) -> None:
    story.around.webserver.is_slow = True
    story.have(MANY)
    for _ in range(100):
        story.around.supervise()
        story.step()
        # It is busy with the one that is to lose datasets, and blind to the others.
        story.look("catalog")
        story.check()
    assert story.locations.are_behind

    story.come_to_rest()

    story.assert_all_is_where_it_belongs()


def test_nobody_waits_while_the_webserver_looks(story: Story) -> None:
    looks: list[Callable[[], None]] = []
    story.begin = looks.append
    story.restart_scheduler()
    story.have(MANY)
    for _ in range(10):
        story.around.supervise()
        story.step()
        story.check()
    assert len(looks) == 1
    assert story.locations.are_behind

    while looks:
        looks.pop()()
        story.come_to_rest()

    story.assert_all_is_where_it_belongs()


def test_a_webserver_that_dies_meanwhile_is_not_waited_for(story: Story) -> None:
    story.have(MANY)
    for _ in range(2):
        story.around.supervise()
        story.step()
    assert story.locations.are_behind
    story.around.webserver.stop()

    for _ in range(40):
        story.step()

    assert not story.locations.are_behind
    story.around.webserver.start()
    story.assert_all_is_where_it_belongs()


def test_a_webserver_that_starts_anew_meanwhile_is_waited_for(story: Story) -> None:
    story.have(MANY)
    for _ in range(2):
        story.around.supervise()
        story.step()
    story.around.webserver.stop()
    story.step()
    story.around.webserver.start()
    story.check()

    story.come_to_rest()

    story.assert_all_is_where_it_belongs()


def test_nobody_leaves_for_a_place_that_cannot_load_them(story: Story) -> None:
    story.have(MANY)
    story.come_to_rest()
    story.around.servers["catalog"].failures = 2
    story.have(FEW)
    for _ in range(6):
        story.step()
        for name in reversed(NAMES):
            story.look(name)
            story.check()
        story.around.supervise()

    story.come_to_rest()

    story.assert_all_is_where_it_belongs()


def test_a_scheduler_that_starts_anew_finds_who_is_still_waiting(story: Story) -> None:
    story.around.webserver.is_slow = True
    for datasets in (MANY, 1):
        story.have(datasets)
        for _ in range(3):
            story.around.supervise()
            story.step()
            story.restart_scheduler()
            story.look("catalog")
            story.check()

        story.come_to_rest()

        story.assert_all_is_where_it_belongs()


_LOCATIONS = st.sampled_from(NAMES)
_EVENTS = st.one_of(
    st.just(("step",)),
    st.just(("step",)),
    st.just(("supervise",)),
    st.tuples(st.just("look"), _LOCATIONS),
    st.tuples(st.just("have"), st.integers(0, MANY)),
    st.tuples(st.just("restart_server"), _LOCATIONS),
    st.just(("restart_scheduler",)),
    st.just(("stop_webserver",)),
    st.just(("start_webserver",)),
)


@given(events=st.lists(_EVENTS, max_size=40))
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_nothing_vanishes_whatever_happens(events: list[tuple[object, ...]]) -> None:
    with a_story() as story:
        webserver = story.around.webserver
        does = {
            "step": story.step,
            "supervise": story.around.supervise,
            "look": story.look,
            "have": story.have,
            "restart_server": story.restart_server,
            "restart_scheduler": story.restart_scheduler,
            "stop_webserver": webserver.stop,
            "start_webserver": webserver.start,
        }
        for name, *args in events:
            does[str(name)](*args)  # type: ignore[operator] # each with what belongs to it
            story.check()

        story.come_to_rest()

        story.assert_all_is_where_it_belongs()
