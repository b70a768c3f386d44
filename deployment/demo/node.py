"""The demo's hands: the command line, REST and Dagster's own API, as any user has them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kamu_api.cli.node.home_lock import HomeLock
from kamu_assets.settings import load_settings

T = TypeVar("T")

PATIENCE = 150.0


class DemoNode:
    """The node that the environment points at (`KAMU_NODE_HOME` and settings)."""

    def __init__(self) -> None:
        settings = load_settings()
        self.home: Path = settings.home
        self.api = f"http://{settings.http.host}:{settings.http.port}"
        self.dagster = f"http://{settings.dagster.host}:{settings.dagster.webserver_port}"
        self.command = [sys.executable, "-m", "kamu_api.cli.main"]
        self.environment = {**os.environ, "KAMU_NODE_HOME": str(self.home)}
        self.started = False
        self._ids: dict[str, str] = {}
        self._http = httpx.Client(timeout=120)

    def start(self) -> None:
        """Start the node, or use the one that runs in this home; `started` tells which."""
        self.started = HomeLock(self.home).owner() is None
        if self.started:
            self.kamu_node("up", "--detach")
        else:
            self.wait_until(self._is_ready, "the node that runs here did not get ready")

    def stop(self) -> None:
        """Stop the node if it was started here."""
        if self.started:
            self.kamu_node("down")

    def _is_ready(self) -> bool:
        try:
            return self._http.get(f"{self.api}/system/health", params={"type": "readiness"}).is_success
        except httpx.TransportError:
            return False

    def kamu_node(self, *arguments: str) -> str:
        """Run the command line; its output, or an exit with what it said."""
        done = subprocess.run(
            [*self.command, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"kamu-node {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def push(self, dataset: str, body: bytes, media_type: str) -> None:
        token = (self.home / "keys" / "admin.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": media_type}
        answer = self._http.post(f"{self.api}/kamu/{dataset}/ingest", content=body, headers=headers)
        if answer.status_code != httpx.codes.OK:
            sys.exit(f"push to {dataset} refused: {answer.status_code} {answer.text}")

    def query(self, sql: str) -> list[dict[str, Any]]:
        answer = self._http.post(f"{self.api}/query", json={"query": sql})
        answer.raise_for_status()
        rows: list[dict[str, Any]] = answer.json()["output"]["data"]
        return rows

    def count(self, dataset: str) -> int:
        return int(self.query(f'select count(*) as n from "kamu/{dataset}"')[0]["n"])

    def last_offset(self, dataset: str) -> int:
        """Offset of the newest record, -1 when there is none."""
        answer = self._http.get(f"{self.api}/kamu/{dataset}/tail", params={"limit": 1})
        rows = answer.raise_for_status().json()["data"]
        return rows[-1]["offset"] if rows else -1

    def datasets(self) -> dict[str, dict[str, Any]]:
        """What `list` says of each dataset, by name."""
        listed = {row["name"]: row for row in json.loads(self.kamu_node("list", "--json"))}
        self._ids = {name: row["id"] for name, row in listed.items()}
        return listed

    def wait_until(self, found: Callable[[], T], complaint: str, *, every: float = 0.1) -> T:
        """What is found at last."""
        deadline = time.monotonic() + PATIENCE
        while not (seen := found()):
            if time.monotonic() > deadline:
                sys.exit(f"{complaint} within {PATIENCE:g} s; see {self.home / 'log' / 'node.log'}")
            time.sleep(every)
        return seen

    def latest_run(self, dataset: str) -> str:
        """The newest Dagster run of a dataset that has been listed, with its address."""
        query = """query ($tags: [ExecutionTag!]) {
          runsOrError(filter: {tags: $tags}, limit: 1) { ... on Runs { results { runId status } } } }"""
        variables = {"tags": [{"key": "kamu/dataset_id", "value": self._ids[dataset]}]}
        answer = self._http.post(f"{self.dagster}/graphql", json={"query": query, "variables": variables})
        runs = answer.raise_for_status().json()["data"]["runsOrError"]["results"]
        return f"run {self.dagster}/runs/{runs[0]['runId']}" if runs else "no run yet"
