"""When what is new in the catalog is shown: at once, and not again and again while more is coming."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from dagster import DagsterInstance

from kamu_assets.orchestration.catalog.publisher import LONGEST_PAUSE, CatalogPublisher
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.catalog.state import CatalogRow
from tests.support.dagster_home import config_of
from tests.support.heart import Heart

STEP = 2.0


@dataclass
class SlowLocations:
    """Servers that take a while, and show whatever they are given."""

    seconds: float
    now: float = 0.0
    shown: int = 0
    times: int = 0
    are_behind: bool = False

    def publish(self, rows: Collection[CatalogRow]) -> None:
        self.now += self.seconds
        self.shown, self.times = len(rows), self.times + 1

    def reload(self) -> bool:
        return False

    def look_after_servers(self) -> bool:
        return False


def publisher_of(heart: Heart, locations: SlowLocations, folder: Path) -> CatalogPublisher:
    publisher = CatalogPublisher(
        instance=create_autospec(DagsterInstance, instance=True),
        config=config_of(folder, catalog=1, flows=2, webserver=3),
        catalog=Catalog(database=heart.database, chains=heart.chains, volumes=heart.volumes, node_url="http://node"),
        database=heart.database,
        outbox=heart.outbox,
        monotonic=lambda: locations.now,
    )
    publisher._locations = locations  # type: ignore[assignment] # all that is asked of it
    return publisher


@pytest.mark.parametrize(("seconds", "most"), [(0.0, 12), (7.0, 4), (10 * LONGEST_PAUSE, 3)])
def test_the_longer_it_takes_the_less_often_it_is_done_while_more_is_coming(
    heart: Heart, tmp_path: Path, seconds: float, most: int
) -> None:
    locations = SlowLocations(seconds)
    publisher = publisher_of(heart, locations, tmp_path)

    for number in range(12):
        heart.dataset(f"root-{number}")
        assert publisher.step()
        locations.now += STEP

    assert 1 < locations.times <= most


def test_the_last_of_a_burst_is_shown_as_soon_as_nothing_more_comes(heart: Heart, tmp_path: Path) -> None:
    locations = SlowLocations(LONGEST_PAUSE)
    publisher = publisher_of(heart, locations, tmp_path)
    for name in ("first", "second"):
        heart.dataset(name)
        publisher.step()
    before = locations.shown

    publisher.step()

    assert (before, locations.shown) == (1, 2)
    assert not publisher.step()
