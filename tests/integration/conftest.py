"""What many of these tests start from: datasets in a home, and the sources and callers around them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kamu_assets.coordinator.service import Coordinator
from tests.support.coordination import a_coordinator
from tests.support.heart import Heart, open_heart
from tests.support.pushed import NewRoot, roots_of
from tests.support.verified import VerifiedStory, a_story
from tests.support.web_source import WebSource, web_source

if TYPE_CHECKING:
    from tests.support.dagster_adapter import Adapter
    from tests.support.dagster_home import DagsterHome


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    """Datasets in an empty home; the test's other files lie beside it."""
    heart = open_heart(tmp_path / "home")
    yield heart
    heart.database.close()


@pytest.fixture
def coordinator(heart: Heart, tmp_path: Path) -> Coordinator:
    return a_coordinator(heart, base=tmp_path)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[VerifiedStory]:
    """Datasets that are made to be verified."""
    with a_story(tmp_path / "ours") as story:
        yield story


@pytest.fixture
def web() -> Iterator[WebSource]:
    """A server without pages."""
    with web_source() as source:
        yield source


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewRoot]:
    """Makes roots for tests that look at nothing else: those of a module share a home."""
    heart = open_heart(tmp_path_factory.mktemp("node"))
    yield roots_of(heart)
    heart.database.close()


@pytest.fixture(scope="module")
def dagster(database_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    """Preparing an instance takes seconds: the tests of a module share one and use their own datasets."""
    # Loading Dagster takes seconds, too, and most tests do without it.
    from tests.support.dagster_home import dagster_home

    with dagster_home(tmp_path_factory.mktemp("node"), database_url=database_url) as home:
        yield home


@pytest.fixture
def adapter(dagster: DagsterHome) -> Iterator[Adapter]:
    from tests.support.dagster_adapter import an_adapter

    with an_adapter(dagster) as adapter:
        yield adapter
