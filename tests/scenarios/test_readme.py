"""The commands of README.md, executed literally and in their order in a checkout of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import readme
from tests.support.dagster_ui import DagsterUi
from tests.support.ports import free_ports
from tests.support.running_node import environment
from tests.support.waiting import wait_until

PORTS = ("HTTP__PORT", "DAGSTER__WEBSERVER_PORT", "DAGSTER__CATALOG_PORT", "DAGSTER__FLOWS_PORT")
# What the demo says of itself: three minutes on two cores that have nothing else to do.
PATIENCE = 600.0
STOP_SECONDS = 100.0
PUSHED = {"flights"}
RUN = {"weather", "airlines", "flights.delays", "flights.late", "flights.hourly", "flights.weather"}
MARK = "-- and then --"

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Visitor:
    """Somebody with a fresh checkout, whose machine has other things on the usual ports."""

    folder: Path
    ports: Sequence[int]
    http: httpx.Client

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS"))}
        settings = {f"KAMU_NODE__{name}": str(port) for name, port in zip(PORTS, self.ports, strict=True)}
        return {**ours, **settings, "PYTHONPATH": str(self.folder), "COLUMNS": "200"}

    @property
    def ui(self) -> DagsterUi:
        return DagsterUi(f"http://127.0.0.1:{self.ports[1]}", self.http)

    def read(self, command: str) -> str:
        """The command as it is typed where the usual ports are taken."""
        return command.replace("8080", str(self.ports[0])).replace("3000", str(self.ports[1]))

    def type(self, commands: Sequence[str], **environment: str) -> list[str]:
        """Execute in one session of a shell; what each of them printed."""
        script = f"\necho '{MARK}'\n".join(map(self.read, commands))
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [said.strip() for said in done.stdout.split(MARK)]

    def processes(self) -> list[int]:
        """Everything that runs for the node of this checkout."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._owns(entry)]

    def _owns(self, process: Path) -> bool:
        with contextlib.suppress(OSError):
            return f"KAMU_NODE_HOME={self.folder}/.node".encode() in (process / "environ").read_bytes().split(b"\0")
        return False


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with httpx.Client(timeout=60) as http:
        visitor = Visitor(readme.checkout(tmp_path / "checkout"), free_ports(len(PORTS)), http)
        yield visitor
        stop = partial(subprocess.run, ["make", "down"], cwd=visitor.folder, env=visitor.environment)
        stop(capture_output=True, check=False, timeout=STOP_SECONDS)


def test_the_demo_and_what_to_try_with_it(visitor: Visitor) -> None:
    text = readme.README.read_text()
    demo_command, test_command = readme.make_commands(text)
    assert (demo_command, test_command) == ("make demo", "make test")

    with left_running(visitor, demo_command) as log:
        check_answers(readme.sessions(text)[0], visitor)
        check_live_push(visitor, log.read_text())
        check_materializations(visitor)
        verify(visitor)
    check_nothing_is_left(visitor)

    visitor.type([f"{demo_command} DETACH=1"])
    check_materializations(visitor)
    visitor.type(["make down"])
    check_nothing_is_left(visitor)
    verify(visitor)


def test_a_file_of_ones_own_becomes_a_queried_verified_dataset_that_keeps_itself_up_to_date(visitor: Visitor) -> None:
    (visitor.folder / "cities.csv").write_text("city,population\nLima,10092000\nBern,134591\n")
    _, own, kept = readme.sessions(readme.README.read_text())
    assert [len(own.commands), len(kept.commands)] == [5, 5]
    home = {"HOME": str(visitor.folder / "home")}

    _, added, pulled, asked, verified = visitor.type(own.commands, **home)

    assert added.startswith("Added: cities\n")
    assert pulled == "kamu/cities: 2 new record(s) in 2 block(s)"
    assert [line.rstrip() for line in asked.splitlines()] == ["city", "Lima"]
    assert verified.startswith("kamu/cities: valid: 4 block(s), 2 record(s)")
    assert (visitor.folder / "home" / ".kamu-node" / "datasets").is_dir()

    _, told, _, listed_flows, processes, _ = visitor.type([*kept.commands, ".venv/bin/kamu-node down"], **home)

    assert "every 1h" in told
    assert "kamu/cities  ingest" in listed_flows
    assert "kamu/cities" in processes


@contextlib.contextmanager
def left_running(visitor: Visitor, command: str) -> Iterator[Path]:
    """The command in a terminal of its own, from the moment the node runs until Ctrl-C; gives what it prints."""
    log = visitor.folder / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            shlex.split(command),
            cwd=visitor.folder,
            env=visitor.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - one system call, safe beside threads
        )
    try:
        wait_until(lambda: demo.poll() is not None or "Ctrl-C" in log.read_text(), patience=PATIENCE, every=0.5)
        assert demo.poll() is None, log.read_text()
        yield log
    finally:
        # A terminal sends it to all that run in its foreground.
        os.killpg(demo.pid, signal.SIGINT)
        code = demo.wait(STOP_SECONDS)
    said = log.read_text()
    assert code in {0, -signal.SIGINT}, said
    assert "Traceback" not in said


def _hear_interrupts() -> None:
    """A terminal's foreground does; what a script starts in the background inherits that they are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def check_answers(session: readme.Session, visitor: Visitor) -> None:
    """Each command prints what the text around it promises."""
    assert len(session.commands) == 5
    exported, late, tail, datasets, log = visitor.type(session.commands)
    assert exported == ""
    assert [line.rstrip() for line in late.splitlines()] == session.answers
    assert len(json.loads(tail)["data"]) == 2
    assert [name for name in PUSHED | RUN if name not in datasets] == []
    assert log.count("AddData") == 2


def check_live_push(visitor: Visitor, said: str) -> None:
    """The derivatives followed the live push as Dagster runs; it closed hours, and flights met their weather."""
    runs = dict(
        re.findall(r"(flights\.\w+)(?: followed in \d+ ms|: [1-9]\d* more records,.*) as run \S+/runs/(\S+)", said)
    )
    assert set(runs) == {"flights.delays", "flights.hourly", "flights.weather"}, said
    identities = {row["name"]: row["id"] for row in listed(visitor)}
    for name, run_id in runs.items():
        found = visitor.ui.runs(tags={"kamu/dataset_id": identities[name]})
        assert [run.status for run in found if run.id == run_id] == ["SUCCESS"]
        assert any(event.type == "ASSET_MATERIALIZATION" for event in visitor.ui.events(run_id))


def check_materializations(visitor: Visitor) -> None:
    """Dagster knows of all records: of pushed ones without a run, of the others from the runs that brought them."""
    for row in listed(visitor):
        told = wait_until(lambda row=row: all_told(visitor, row), patience=PATIENCE, every=0.5)  # type: ignore[misc] # mypy cannot infer lambdas with defaults
        assert {run_id == "" for run_id, _ in told} == {row["name"] in PUSHED}
        assert sum(records for _, records in told) == row["records"]


def all_told(visitor: Visitor, row: dict[str, Any]) -> list[tuple[str, int]]:
    """Run and records of each materialization, once the newest says how many there are in all."""
    told = visitor.ui.materializations((row["account"], row["name"]))
    if not told or told[-1].metadata["dagster/row_count"] != row["records"]:
        return []
    return [(seen.run_id, int(seen.metadata["records_added"] or 0)) for seen in told]


def listed(visitor: Visitor) -> list[dict[str, Any]]:
    (text,) = visitor.type(["KAMU_NODE_HOME=$PWD/.node .venv/bin/kamu-node list --json"])
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def verify(visitor: Visitor) -> None:
    command = [sys.executable, "-m", "tests.support.verifier", "--walk", str(visitor.folder / ".node" / "datasets")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout
    assert f"{len(PUSHED | RUN)} sound, 0 bad" in verified.stdout


def check_nothing_is_left(visitor: Visitor) -> None:
    wait_until(lambda: not visitor.processes(), patience=60)
    for port in visitor.ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
