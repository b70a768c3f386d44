"""`kamu-node show`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.flows.model import Binding, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home
from tests.support.manifests import CITIES


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = home_with_lineage(tmp_path)
    home.ok("ingest", "raw", home.write("rows.ndjson", '{"id": 1, "name": "[a]"}\n{"id": 0, "name": "b"}\n'))
    home.ok("pull", "clean")
    return home


def test_a_root_is_described_for_people(home: Home) -> None:
    home.ok("pull", "raw", "--set-watermark", "2030-01-02T03:04:05Z")

    lines = home.ok("show", "raw").splitlines()

    told = {line[2:16].strip(): line[16:] for line in lines if line.startswith("  ") and line[2] != " "}
    [listed] = [row for row in home.json("list") if row["name"] == "raw"]
    assert lines[0] == "kamu/raw (Root)"
    assert told["id"] == listed["id"]
    assert told["head"] == f"{listed['head']}, block {listed['blocks'] - 1}"
    assert told["records"] == "2 in 1 slice(s)"
    assert told["watermark"] == "2030-01-02 03:04:05 UTC"
    assert told["push source"] == "default: NdJson, merged as Append"
    assert told["read by"] == "kamu/clean"
    assert told["owner"] == "kamu"
    assert Path(told["files"], "refs", "head").is_file()
    assert lines[-3:] == ["    event_time TIMESTAMP(3) NOT NULL", "    id INT", "    name STRING"]


def test_a_derivative_is_described_for_people(home: Home) -> None:
    told = home.ok("show", "clean")

    assert "  inputs        kamu/raw as raw\n" in told
    assert "  query         1 step(s) of datafusion; `kamu-node inspect query kamu/clean` shows it\n" in told
    assert "  read by       kamu/daily, kamu/weekly\n" in told


def test_everything_is_there_for_scripts(home: Home) -> None:
    [raw, clean] = home.json("show", "raw", "clean")

    assert (raw["records"], raw["slices"], raw["lastOffset"], raw["dependents"]) == (2, 1, 1, ["kamu/clean"])
    assert raw["pushSources"][0]["read"]["ddlSchema"] == ["id INT", "name STRING"]
    assert raw["pollingSource"] is raw["transform"] is None
    assert clean["inputs"] == [{"dataset": "kamu/raw", "ref": raw["id"], "alias": "raw"}]
    assert clean["transform"]["queries"] == [{"query": "select event_time, id, name from raw where id > 0"}]
    assert [field["name"] for field in clean["schema"]["fields"]][-2:] == ["id", "name"]
    assert clean["dataSize"] == sum(path.stat().st_size for path in Path(clean["location"], "data").iterdir())
    assert clean["vocabulary"]["offsetColumn"] == "offset"


def test_patterns_show_several_and_what_has_no_data_says_so(home: Home) -> None:
    told = home.ok("show", "%ly").split("\n\n")

    assert [part.splitlines()[0] for part in told] == ["kamu/daily (Derivative)", "kamu/weekly (Derivative)"]
    assert "columns       not known before the first data" in told[0]
    assert "watermark     never" in told[0]


def test_words_about_a_dataset_and_where_it_polls(home: Home) -> None:
    events = """  - {kind: SetInfo, description: "Two\\nlines [of text]", keywords: [a, b]}
  - {kind: SetLicense, shortName: CC0, name: Public domain, websiteUrl: "https://example.org/cc0"}
"""
    manifest = CITIES.format(name="polled", source="SetPollingSource", details="fetch: {kind: Url, url: 'file:///x'}")
    home.ok("add", home.write("polled.yaml", manifest + events))

    told = home.ok("show", "polled")

    assert "  about         Two\n                lines [of text]\n" in told
    assert "  keywords      a, b\n" in told
    assert "  license       Public domain (https://example.org/cc0)\n" in told
    assert "  source        file:///x: Csv, merged as Ledger by at, city\n" in told


def test_unknown_names_are_told(home: Home) -> None:
    assert home.refusal("show", "nope") == "dataset nope does not exist; `kamu-node list` shows what there is"
    assert home.refusal("show", "n%pe") == "no dataset matches 'n%pe'; `kamu-node list` shows what there is"
    assert home.run("show").code == 2


def test_what_happens_by_itself_is_told(home: Home) -> None:
    with open_node(load_settings(home.path / "home")) as node:
        clean, daily = node.datasets.select(node.auth.admin_caller(), ["clean", "daily"])
        node.flows.run_finished(
            "run", FlowOutcome(OutcomeKind.FAILED, "no such\ncolumn"), bindings=[Binding(clean.id, FlowType.INGEST)]
        )
        node.flows.request_run(node.auth.admin_caller(), daily.id)
        for number in range(4):
            verified = FlowOutcome(OutcomeKind.SUCCESS)
            node.flows.run_finished(f"later-{number}", verified, bindings=[Binding(daily.id, FlowType.VERIFY)])
    home.ok("trigger", "set", "clean", "--every", "90m")

    [first, second, third] = home.json("show", "clean", "daily", "weekly")
    told = home.ok("describe", "clean", "daily", "weekly")

    assert (first["trigger"]["rule"], first["trigger"]["paused"]) == ("every 1h30m", False)
    assert (first["lastRun"]["outcome"], first["lastRun"]["message"]) == ("FAILED", "no such\ncolumn")
    assert (second["currentRun"]["state"], second["currentRun"]["cause"]) == ("WAITING", "MANUAL")
    assert third["trigger"] is third["currentRun"] is third["lastRun"] is None
    assert "  trigger       every 1h30m, next 2" in told
    assert " UTC, failed: no such\n" in told
    assert "  run           waiting since 2" in told
    assert "  trigger       none needed: a running node computes it when an input changes" in told
