"""`kamu-node process list`: what is wrong, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from kamu_assets.flows.model import Binding, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading


def test_it_says_why_something_was_stopped_and_how_it_goes_on(tmp_path: Path) -> None:
    home = home_with_lineage(tmp_path)
    home.ok("trigger", "set", "clean", "--reactive", "--stop-after", "1")
    with open_node(load_settings(home.path / "home")) as node:
        (clean,) = node.datasets.select(node.auth.admin_caller(), ["clean"])
        failed = FlowOutcome(OutcomeKind.FAILED, "no column degrees", recoverable=False)
        node.flows.run_finished("run", failed, bindings=[Binding(clean.id, FlowType.EXECUTE_TRANSFORM)])

    listed = home.run("process", "list")
    row = home.json("process", "list")[0]

    assert "stopped-auto" in listed.out
    assert f"unrecoverable-failure; flow {row['lastFailedFlow']}: no column degrees" in listed.out
    assert "`kamu-node trigger resume <dataset>`" in listed.told
    assert "stopped-auto 1, unconfigured 2, active 2" in listed.told
    assert (row["dataset"], row["lastFailure"]) == ("kamu/clean", "no column degrees")
    assert home.json("process", "list", "--state", "stopped-auto") == [row]


def test_where_nothing_happens_by_itself_it_says_how_it_would(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ok("add", home.write("one.yaml", pushed_root("cities", reading("id INT"))))

    listed = home.run("process", "list")

    assert "`kamu-node trigger set <dataset> --every 1h`" in listed.told
    assert "unconfigured 1" in listed.told
