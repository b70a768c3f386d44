"""What every test may ask for: the reference material, a real PostgreSQL; and how Hypothesis searches."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.last_resort import LastResort
from tests.support.postgres import fresh_database, postgres_server
from tests.support.reference import reference_folder

# Nothing here goes on with gRPC after a fork. Its handlers, which run wherever a program is started with a function or
# as another user, sometimes keep the child from ever becoming that program, and its parent waits for that.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# The machine is shared with other work, so no example fails for being slow; CI repeats the same examples every time.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

MARKED_FOLDERS = {
    "integration": pytest.mark.integration,
    "scenarios": pytest.mark.scenario,
    "faults": pytest.mark.fault_matrix,
}
LONGEST_FIRST = {folder: place for place, folder in enumerate(("scenarios", "faults", "integration", "contracts"))}


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LastResort())
    # What a shell starts in the background ignores interrupts, and so would all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"reference material: {reference_folder()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = MARKED_FOLDERS.get(_folder(item))
        if mark:
            item.add_marker(mark)
    # Files with few long tests last would leave one of two processes alone with them.
    items.sort(key=lambda item: LONGEST_FIRST.get(_folder(item), len(LONGEST_FIRST)))


def _folder(item: pytest.Item) -> str:
    here = Path(__file__).parent
    return item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""


@pytest.fixture(scope="session")
def reference() -> Path:
    """A folder with `odf/vectors` and `odf/recorded`."""
    return reference_folder()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL server; there is no skipping without one."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where a node has its tables and Dagster's: in files of its home (None), or in an empty database."""
    if request.param == "sqlite":
        yield None
        return
    with fresh_database(str(request.getfixturevalue("postgres_url"))) as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty database for one test."""
    with fresh_database(postgres_url) as url:
        yield url
