"""Dagster's own tools on a node's home, from the top of the repository: nothing of ours starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import kamu_assets
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.orchestration.catalog.publisher import CatalogPublisher
from kamu_assets.orchestration.processes import ProcessCommand
from tests.support.builders import a_dataset_id
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.dagster_ui import DagsterUi
from tests.support.ports import free_port
from tests.support.waiting import wait_until

TOP = Path(kamu_assets.__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
DERIVATIVE, ROOT = ("kamu", "derivative"), ("kamu", "polled-root")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterHome]:
    """A home with a root and a derivative, without code servers and webserver."""
    with dagster_home(tmp_path_factory.mktemp("node")) as home:
        parts = home.parts
        parts.derivative("derivative", parts.root("polled-root"))
        with home.instance() as instance:
            CatalogPublisher(
                instance=instance,
                config=home.config,
                catalog=parts.catalog,
                database=parts.database,
                outbox=parts.outbox,
            ).load()
        yield home


def environment(home: DagsterHome) -> dict[str, str]:
    return {"DAGSTER_HOME": str(home.config.dagster_home), "VIRTUAL_ENV": str(PROGRAMS.parent)}


def run(home: DagsterHome, *command: str) -> str:
    done = subprocess.run(
        [PROGRAMS / command[0], *command[1:]],
        cwd=TOP,
        env=os.environ | environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dg_checks_the_definitions(home: DagsterHome) -> None:
    assert "All definitions loaded successfully" in run(home, "dg", "check", "defs")


def test_dg_lists_the_datasets(home: DagsterHome) -> None:
    listed = json.loads(run(home, "dg", "list", "defs", "--json"))

    kinds = {asset["asset_key"]: set(asset["kinds"]) for asset in listed["assets"]}
    assert kinds == {
        "kamu/derivative": {"parquet", "derivative", "sql", "datafusion"},
        "kamu/polled-root": {"parquet", "root"},
    }


def test_the_workspace_is_valid_and_looking_changes_nothing(home: DagsterHome) -> None:
    states = sorted((home.config.dagster_home / "defs_state").rglob("*"))

    run(home, "dagster", "definitions", "validate", "-w", "workspace.yaml")
    run(home, "dg", "list", "defs")

    assert sorted((home.config.dagster_home / "defs_state").rglob("*")) == states


def test_the_stock_webserver_shows_the_datasets_and_updates_them(
    home: DagsterHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(TOP)
    port = free_port()
    arguments = ("-w", "workspace.yaml", "-p", str(port))
    home.start(ProcessCommand("stock", (str(PROGRAMS / "dagster-webserver"), *arguments), environment(home)))
    home.start_own("worker")
    with httpx.Client(timeout=30) as http:
        ui = DagsterUi(f"http://127.0.0.1:{port}", http)
        assert wait_until(lambda: _assets(ui)) == {DERIVATIVE, ROOT}

        run_id = ui.materialize(ROOT)

        (flow,) = home.parts.finished(a_dataset_id("polled-root"))
        assert flow.outcome is not None
        assert (flow.run_id, flow.cause.kind, flow.outcome.kind) == (
            run_id,
            CauseKind.DAGSTER_UI,
            OutcomeKind.SUCCESS,
        )
        assert [said.run_id for said in ui.materializations(ROOT)] == [run_id]


def _assets(ui: DagsterUi) -> set[tuple[str, ...]] | None:
    try:
        return ui.assets() or None
    except httpx.HTTPError:
        return None
