"""A whole real node, started as a user starts it: `kamu-node up` in a home of its own, on free ports."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from kamu_api.cli.node.processes import process_specs
from kamu_assets.node import Node, open_node
from kamu_assets.settings import Settings, load_settings
from tests.support.command_line import PROGRAM, Done, Home
from tests.support.dagster_ui import DagsterUi
from tests.support.ports import free_ports
from tests.support.process_tree import all_processes, arguments_of, descendants
from tests.support.waiting import wait_until

SUPERVISOR = "supervisor"
START_SECONDS = 450.0
STOP_SECONDS = 40.0
_PORTS = (("http", "port"), ("dagster", "webserver_port"), ("dagster", "catalog_port"), ("dagster", "flows_port"))
_PR_SET_PDEATHSIG = 1


class NodeFailedError(AssertionError):
    """The node did not start, or did not stop, as it should."""


@dataclass
class RunningNode:
    """Reach it through its public doors; `supervisor` is the process that has started all others."""

    settings: Settings
    supervisor: subprocess.Popen[bytes]
    http: httpx.Client
    # Dagster's webserver.
    ui: DagsterUi
    _looking: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def api(self) -> str:
        """Base URL of the node's own API."""
        return api_address(self.settings)

    @property
    def token(self) -> str:
        """The admin's."""
        return (self.settings.keys_path / "admin.token").read_text(encoding="ascii").strip()

    def request(self, method: str, path: str, *, anonymous: bool = False, **kwargs: Any) -> httpx.Response:
        """Ask the API, as the admin unless told otherwise."""
        headers = dict(kwargs.pop("headers", {}))
        if not anonymous:
            headers.setdefault("authorization", f"Bearer {self.token}")
        return self.http.request(method, self.api + path, headers=headers, **kwargs)

    def push(self, dataset: str, body: bytes | str, media_type: str = "application/x-ndjson") -> None:
        """Push to `account/name`; it is durable and readable afterwards."""
        answer = self.request("POST", f"/{dataset}/ingest", content=body, headers={"content-type": media_type})
        assert answer.status_code == httpx.codes.OK, answer.text

    def query(self, sql: str) -> list[dict[str, Any]]:
        answer = self.request("POST", "/query", json={"query": sql}, anonymous=True)
        assert answer.status_code == httpx.codes.OK, answer.text
        rows: list[dict[str, Any]] = answer.json()["output"]["data"]
        return rows

    def kamu_node(self, *arguments: str, check: bool = True) -> Done:
        """The command line on this home, in this process: each program would take most of a second to start."""
        done = Home(self.home.parent, self.home.name).run(*arguments)
        assert not check or done.code == 0, f"{arguments}: {done}"
        return done

    def told(self, *arguments: str) -> Any:
        """What the command line tells scripts."""
        return json.loads(self.kamu_node(*arguments, "--json").out)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Node]:
        """The same home in this process, as the command line opens it."""
        with open_node(self.settings) as node:
            yield node

    @cached_property
    def inside(self) -> Node:
        """The same, for looking at it again and again; closed in the end."""
        return self._looking.enter_context(self.opened())

    def pids(self) -> dict[str, int]:
        """The processes that the supervisor keeps alive, by the names they have in the log."""
        names = {tuple(spec.argv): spec.name for spec in process_specs(self.settings)}
        among = [stat.pid for stat in all_processes() if stat.parent == self.supervisor.pid]
        found = {names.get(arguments_of(pid)): pid for pid in among}
        return {name: pid for name, pid in found.items() if name is not None}

    def all_pids(self) -> dict[str, int]:
        """The same, once every process has begun: some begin after the node is ready."""
        count = len(process_specs(self.settings))
        return wait_until(lambda: found if len(found := self.pids()) >= count else None, patience=START_SECONDS)

    def families(self) -> dict[str, list[int]]:
        """Every process of the node: those of `pids`, each with all that it has started; and the supervisor."""
        among = all_processes()
        families = {name: [pid, *(each.pid for each in descendants(pid, among))] for name, pid in self.pids().items()}
        return {SUPERVISOR: [self.supervisor.pid], **families}

    def log(self) -> str:
        return (self.settings.log_path / "node.log").read_text(encoding="utf-8")


@contextlib.contextmanager
def running_node(home: Path, **settings: Any) -> Iterator[RunningNode]:
    """Start the node in `home` and stop it in the end.

    `settings` are sections as in `node.yaml` (`storage={"durability": "fast"}`); a home that was used before keeps
    what it had, ports included.
    """
    _write_settings(home, settings)
    loaded = load_settings(home)
    supervisor = _start(loaded)
    try:
        _wait_until_ready(loaded, supervisor)
        with httpx.Client(timeout=120) as http, contextlib.ExitStack() as looking:
            yield RunningNode(loaded, supervisor, http, DagsterUi(dagster_address(loaded), http), looking)
    finally:
        _stop(supervisor)


def api_address(settings: Settings) -> str:
    return f"http://{settings.http.host}:{settings.http.port}"


def dagster_address(settings: Settings) -> str:
    return f"http://{settings.dagster.host}:{settings.dagster.webserver_port}"


def environment() -> dict[str, str]:
    """Ours without settings of a node that somebody works with, and with bytecode, as people start it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KAMU_NODE_")}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return ours


def _write_settings(home: Path, settings: dict[str, Any]) -> None:
    path = home / "node.yaml"
    sections: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, values in settings.items():
        sections[name] = {**sections.get(name, {}), **values}
    for (section, key), port in zip(_PORTS, free_ports(len(_PORTS)), strict=True):
        sections.setdefault(section, {}).setdefault(key, port)
    home.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    settings.log_path.mkdir(parents=True, exist_ok=True)
    _ready_file(settings).unlink(missing_ok=True)
    with _console(settings).open("ab") as output:
        return subprocess.Popen(
            [*PROGRAM, "up", "--home", str(settings.home)],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509 - one system call, safe beside threads
        )


def _end_with_us() -> None:
    """A test run that is killed leaves no node behind (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(settings: Settings, supervisor: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _ready_file(settings).exists():
        if supervisor.poll() is not None or time.monotonic() > deadline:
            raise NodeFailedError(f"the node did not start:\n{_console(settings).read_text(errors='replace')}")
        time.sleep(0.05)


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        supervisor.kill()
        supervisor.wait()
        raise NodeFailedError(f"the node did not stop within {STOP_SECONDS:g} s") from error


def _ready_file(settings: Settings) -> Path:
    return settings.run_path / "ready"


def _console(settings: Settings) -> Path:
    return settings.log_path / "console.log"
