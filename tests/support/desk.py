"""The desk of somebody who has a node and knows it from outside only: a shell, its ports, and Dagster's pages."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.command_line import Home
from tests.support.dagster_ui import DagsterUi, MaterializationSeen
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

PATIENCE = 200.0
_PROGRAM = Path(sys.executable).with_name("kamu-node")


@dataclass(frozen=True)
class Desk:
    """A folder with files, and the node whose home lies in it."""

    folder: Path
    # Addresses of the two doors, and what asks them.
    api: str
    http: httpx.Client
    ui: DagsterUi

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def type(self, *words: str, code: int = 0, stdin: str | None = None) -> str:
        """Type a command, see its exit code; what it said, all of it."""
        done = subprocess.run(
            [_PROGRAM, *words],
            cwd=self.folder,
            env=_environment(self.home),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def told(self, *words: str) -> Any:
        """What a script is told; asked in this process, without the time that starting a program takes."""
        return Home(self.folder).json(*words)

    def get(self, path: str, *, status: int = 200, **parameters: str | int) -> Any:
        answer = self.http.get(self.api + path, params=parameters)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def post(self, path: str, document: object, *, status: int = 200) -> Any:
        answer = self.http.post(self.api + path, json=document)
        assert answer.status_code == status, answer.text
        return answer.json()

    def push(self, dataset: str, body: str, media_type: str, *, status: int = 200, with_token: bool = True) -> None:
        token = (self.home / "keys" / "admin.token").read_text(encoding="ascii").strip()
        headers = {"content-type": media_type} | ({"authorization": f"Bearer {token}"} if with_token else {})
        answer = self.http.post(f"{self.api}/kamu/{dataset}/ingest", content=body, headers=headers)
        assert answer.status_code == status, answer.text

    def ask(self, sql: str, **options: object) -> Any:
        """The answer to a query, whole."""
        return self.post("/query", {"query": sql, **options})

    def rows(self, sql: str, **options: object) -> list[list[Any]]:
        rows: list[list[Any]] = self.ask(sql, dataFormat="JsonAoA", **options)["output"]["data"]
        return rows

    def head(self, dataset: str) -> str:
        (reference,) = self.get(f"/kamu/{dataset}/metadata", include="refs")["output"]["refs"]
        return str(reference["blockHash"])

    def wait_for_tail(self, dataset: str, *, last_offset: int) -> list[dict[str, Any]]:
        """The newest rows once there are as many as that."""

        def look() -> list[dict[str, Any]]:
            answer = self.http.get(f"{self.api}/kamu/{dataset}/tail", params={"limit": 100})
            rows: list[dict[str, Any]] = answer.json()["data"] if answer.status_code == httpx.codes.OK else []
            return rows if rows and rows[-1]["offset"] >= last_offset else []

        return wait_until(look, patience=PATIENCE, every=0.1)

    def wait_for_materialization(self, dataset: str, head: str) -> MaterializationSeen:
        """What Dagster shows of a commit, once it does."""

        def look() -> MaterializationSeen | None:
            seen = [each for each in self.ui.materializations(("kamu", dataset)) if each.metadata["kamu/head"] == head]
            return seen[-1] if seen else None

        return wait_until(look, patience=PATIENCE, every=0.2)

    def wait_for_assets(self, *names: str) -> None:
        """Dagster shows exactly these datasets."""
        wait_until(lambda: self.ui.assets() == {("kamu", name) for name in names}, patience=PATIENCE, every=0.2)

    def wait_for_run(self, run_id: str) -> str:
        """How a run ended."""

        def look() -> str | None:
            run = self.ui.run(run_id)
            return run.status if run and run.has_ended else None

        return wait_until(look, patience=PATIENCE, every=0.1)


@contextlib.contextmanager
def a_desk(folder: Path) -> Iterator[Desk]:
    """A node whose home has ports of its own; it is not started yet, and does not run in the end."""
    http_port, webserver_port, catalog_port, flows_port = free_ports(4)
    with httpx.Client(timeout=120) as http:
        api, dagster = f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{webserver_port}"
        desk = Desk(folder, api, http, DagsterUi(dagster, http))
        desk.home.mkdir()
        catalog = f"catalog_port: {catalog_port}, flows_port: {flows_port}"
        sections = f"http: {{port: {http_port}}}\ndagster: {{webserver_port: {webserver_port}, {catalog}}}\n"
        desk.write("home/node.yaml", sections)
        try:
            yield desk
        finally:
            subprocess.run([_PROGRAM, "down"], env=_environment(desk.home), capture_output=True, check=False)


def _environment(home: Path) -> dict[str, str]:
    """Ours without settings of a node that somebody works with."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KAMU_NODE_")}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**ours, "KAMU_NODE_HOME": str(home), "COLUMNS": "200"}
