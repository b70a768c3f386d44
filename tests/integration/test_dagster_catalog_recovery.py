"""Whatever the code servers and the webserver missed, Dagster's UI comes to show the datasets that exist."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.processes import catalog_command, flows_command, webserver_command
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.dagster_ui import DagsterUi
from tests.support.waiting import wait_until

PATIENCE = 200.0
_ESTABLISHED = "01"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DagsterHome]:
    with dagster_home(tmp_path) as home:
        yield home


@pytest.fixture
def publisher(home: DagsterHome) -> Iterator[CatalogPublisher]:
    parts = home.parts
    with home.instance() as instance:
        publisher = CatalogPublisher(
            instance=instance, config=home.config, catalog=parts.catalog, database=parts.database, outbox=parts.outbox
        )
        publisher.load()
        yield publisher


@pytest.fixture
def ui(home: DagsterHome) -> Iterator[DagsterUi]:
    with httpx.Client(timeout=120) as http:
        yield DagsterUi(f"http://{home.config.host}:{home.config.webserver_port}", http)


def test_a_change_while_the_webserver_starts_is_shown(
    home: DagsterHome, publisher: CatalogPublisher, ui: DagsterUi
) -> None:
    home.start(catalog_command(home.config))
    flows = home.start(flows_command(home.config))
    for port in (home.config.catalog_port, home.config.flows_port):
        wait_until(lambda port=port: listens(home, port), patience=PATIENCE, every=0.2)  # type: ignore[misc] # mypy cannot infer lambdas with defaults
    step(publisher, until=lambda: not publisher.step())
    # It loads one location after the other, and then begins to watch them.
    flows.send_signal(signal.SIGSTOP)
    webserver = home.start(webserver_command(home.config))
    wait_until(lambda: is_connected(webserver.pid, home.config.flows_port), patience=PATIENCE, every=0.05)
    late = home.parts.root("late")
    step(publisher, until=lambda: not publisher.step())
    flows.send_signal(signal.SIGCONT)

    step(publisher, until=lambda: key(late) in (shown(ui) or ()))


def test_a_code_server_that_starts_after_its_state_was_lost_is_given_another(
    home: DagsterHome, publisher: CatalogPublisher, ui: DagsterUi
) -> None:
    root = home.parts.root("root")
    server = home.start(catalog_command(home.config))
    for command in (flows_command, webserver_command):
        home.start(command(home.config))
    step(publisher, until=lambda: key(root) in (shown(ui) or ()))
    states = [path for path in (home.config.dagster_home / "defs_state").rglob("*") if path.is_file()]
    assert states
    for state in states:
        state.unlink()

    server.kill()
    server.wait()
    home.start(catalog_command(home.config))

    wait_until(lambda: shown(ui) == set(), patience=PATIENCE, every=0.2)
    step(publisher, until=lambda: key(root) in (shown(ui) or ()))


def step(publisher: CatalogPublisher, *, until: Callable[[], bool]) -> None:
    """As the scheduler process does, until there is what we wait for."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline
        publisher.step()
        time.sleep(0.5)


def key(entry: DatasetEntry) -> tuple[str, ...]:
    return (str(entry.account), str(entry.name))


def shown(ui: DagsterUi) -> set[tuple[str, ...]] | None:
    try:
        return ui.assets()
    except httpx.TransportError:
        return None


def listens(home: DagsterHome, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((home.config.host, port)) == 0


def is_connected(pid: int, port: int) -> bool:
    """Whether a process has a connection to a port of this machine (proc_net_tcp(5))."""
    sockets = _links(pid)
    tables = (Path(f"/proc/{pid}/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6"))
    rows = [line.split()[:10] for table in tables for line in table.splitlines()[1:]]
    return any(
        int(remote.rpartition(":")[2], 16) == port and state == _ESTABLISHED and f"socket:[{inode}]" in sockets
        for _, _, remote, state, *_, inode in rows
    )


def _links(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(link))  # noqa: PTH115 - a socket's link names no path
        except FileNotFoundError:
            continue
    return found
