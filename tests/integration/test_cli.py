"""The command line on a home of its own, without a running node."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.poll import Poller
from kamu_assets.engines.workers.limits import JobBugError
from kamu_assets.flows.model import Binding, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.node import open_node
from kamu_assets.odf.identity import DatasetName
from kamu_assets.settings import load_settings
from tests.faults.forgeries import blocks_of, sealed, slice_changed, write
from tests.support.builders import a_logical_hash
from tests.support.command_line import Done, Home
from tests.support.manifests import CITIES

DERIVATIVE = """
kind: DatasetSnapshot
version: 1
content:
  name: large
  kind: Derivative
  metadata:
  - kind: SetTransform
    inputs:
    - datasetRef: cities
      alias: cities
    transform:
      kind: Sql
      engine: datafusion
      query: select at as event_time, city from cities where population > 1000
"""
ROWS = "at,city,population\n2024-01-01T00:00:00Z,Ålesund,54000\n2024-01-01T00:00:00Z,[Å],9\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def cities(home: Home) -> Home:
    """A home with a root that is pushed to, one that polls a file, and a derivative."""
    home.write("polled.csv", ROWS)
    push = CITIES.format(name="cities", source="AddPushSource", details="sourceName: default")
    poll = CITIES.format(
        name="polled", source="SetPollingSource", details=f"fetch: {{kind: Url, url: 'file://{home.path}/polled.csv'}}"
    )
    home.write("manifests/a.yaml", DERIVATIVE)
    home.write("manifests/b.yaml", push + "---" + poll)
    home.write("manifests/other.yaml", "a: 1\n")
    home.ok("add", "--recursive", "manifests")
    return home


def test_data_goes_in_and_comes_out(cities: Home) -> None:
    rows = cities.write("rows.csv", ROWS)

    assert cities.ok("ingest", "cities", rows) == "rows.csv: 2 record(s)\n"
    assert cities.ok("ingest", "cities", "--stdin", stdin=ROWS.encode()) == "standard input: nothing new\n"
    assert sorted(cities.ok("pull", "--all").splitlines()) == [
        "kamu/cities: nothing to poll, data is pushed to it",
        "kamu/large: 1 new record(s) in 2 block(s)",
        "kamu/polled: 2 new record(s) in 2 block(s)",
    ]
    assert {row["result"] for row in cities.json("pull", "large", "polled")} == {"up-to-date"}
    found = cities.json("sql", 'select city from "large"')
    assert found == [{"city": "Ålesund"}]
    assert [row["city"] for row in cities.json("tail", "cities", "-n", "1")] == ["[Å]"]
    assert "[Å]" in cities.ok("tail", "kamu/cities")
    assert cities.ok("sql", "--format", "csv", stdin=b'select city, true as t from "polled" order by population') == (
        "city,t\n[Å],true\nÅlesund,true\n"
    )


def test_a_watermark_is_set_by_hand(cities: Home) -> None:
    def set_to(moment: str) -> Done:
        return cities.run("pull", "cities", "--set-watermark", moment)

    assert set_to("2024-02-01T00:00:00Z").out == (
        "kamu/cities: 0 new record(s) in 1 block(s), its watermark is now 2024-02-01T00:00:00Z\n"
    )
    assert set_to("2024-01-31T00:00:00Z").out == (
        "kamu/cities: up to date, its watermark is 2024-02-01T00:00:00Z already,"
        " which is later than 2024-01-31T00:00:00Z\n"
    )
    assert set_to("2024-02-01T00:00:00Z").out.endswith("is 2024-02-01T00:00:00Z already\n")
    assert cities.json("pull", "cities", "--set-watermark", "2024-01-01T00:00:00Z")[0]["watermark"].startswith(
        "2024-02"
    )
    assert "2024-02-01 00:00:00" in cities.ok("list")
    assert cities.refusal("pull", "large", "--set-watermark", "2024-02-01T00:00:00Z") == (
        "kamu/large: a derivative's watermark is that of its inputs: set theirs"
    )
    assert "2024-02-01" in cities.run("log", "cities", "--limit", "1").out
    assert set_to("in February").code == 2
    assert cities.run("pull", "--all", "--set-watermark", "2024-02-01T00:00:00Z").code == 2


def test_adding_again_skips_what_is_there(cities: Home) -> None:
    told = cities.ok("add", "manifests/b.yaml")

    assert told.splitlines() == [
        "Skipped: cities: Already exists",
        "Skipped: polled: Already exists",
        "Nothing was added",
    ]


def test_manifests_are_added_inputs_first(home: Home) -> None:
    both = DERIVATIVE + "---" + CITIES.format(name="cities", source="AddPushSource", details="sourceName: default")

    told = home.ok("add", "--stdin", stdin=both.encode())

    assert told.splitlines() == ["Added: cities", "Added: large", "Added 2 dataset(s)"]


def test_the_list_is_for_people_and_for_scripts(cities: Home) -> None:
    rows = cities.json("list")

    assert [(row["account"], row["name"], row["kind"]) for row in rows] == [
        ("kamu", "cities", "Root"),
        ("kamu", "large", "Derivative"),
        ("kamu", "polled", "Root"),
    ]
    assert all(row["id"].startswith("did:odf:fed01") and row["head"].startswith("f1620") for row in rows)
    table = cities.ok("list").splitlines()
    assert table[0].split() == ["name", "kind", "records", "size", "head", "updated", "watermark"]
    assert table[1].split()[:3] == ["cities", "Root", "0"]


def test_the_log_tells_blocks_newest_first(cities: Home) -> None:
    blocks = cities.json("log", "cities")

    assert [block["block"]["sequenceNumber"] for block in blocks] == [2, 1, 0]
    assert blocks[-1]["block"]["event"]["kind"] == "Seed"
    text = cities.ok("log", "cities", "--limit", "1")
    assert text.startswith("block: 2\nhash: f1620")
    assert "kind: SetVocab" in text


def test_triggers_are_set_paused_and_removed(cities: Home) -> None:
    assert cities.json("trigger", "set", "polled", "--every", "1h")["rule"] == "every 1h"
    assert cities.json("trigger", "set", "polled", "--cron", "0 3 * * *")["rule"] == "cron 0 3 * * *"
    assert cities.json("trigger", "pause", "polled")["paused"] is True
    assert [row["paused"] for row in cities.json("trigger", "list")] == [True]
    assert cities.json("trigger", "resume", "polled")["paused"] is False
    assert cities.json("trigger", "remove", "polled") == {"dataset": "kamu/polled", "result": "removed"}
    assert cities.json("trigger", "list") == []
    assert cities.refusal("trigger", "pause", "polled").startswith(
        "kamu/polled has no trigger: `kamu-node trigger set "
    )


def test_what_takes_pushes_only_is_not_polled(cities: Home) -> None:
    refusal = cities.refusal("trigger", "set", "cities", "--every", "1h")
    assert refusal.startswith("kamu/cities has no SetPollingSource: there is nothing to poll")


def test_triggers_are_told_to_the_second(cities: Home) -> None:
    told = cities.ok("trigger", "set", "polled", "--cron", "0 3 * * *")
    assert told.startswith("kamu/polled: cron 0 3 * * *, next ")
    assert told.endswith(" 03:00:00 UTC\n")
    assert cities.ok("trigger", "list").splitlines()[1].rstrip().endswith(" 03:00:00")
    cities.ok("trigger", "pause", "polled")
    assert cities.ok("trigger", "list").splitlines()[1].rstrip().endswith("paused")


def test_the_list_of_triggers_tells_how_their_last_runs_ended(cities: Home) -> None:
    for dataset in ("polled", "large"):
        cities.ok("trigger", "set", dataset, "--every", "1h")
    rows = {line.split()[0]: line for line in cities.ok("trigger", "list").splitlines()}
    assert re.search(r"every 1h  \S+ \S+$", rows["kamu/polled"].rstrip())
    with open_node(load_settings(cities.path / "home")) as node:
        told = {entry.name: entry.id for entry in node.datasets.list(node.auth.admin_caller())}
        node.flows.run_finished(
            "a", FlowOutcome(OutcomeKind.UP_TO_DATE), bindings=[Binding(told[DatasetName("polled")], FlowType.INGEST)]
        )
        failed = FlowOutcome(OutcomeKind.FAILED, "source not found: file:///nope\nmore")
        node.flows.run_finished("b", failed, bindings=[Binding(told[DatasetName("polled")], FlowType.INGEST)])
        # Something else that was done to it.
        done = FlowOutcome(OutcomeKind.SUCCESS)
        node.flows.run_finished("v", done, bindings=[Binding(told[DatasetName("polled")], FlowType.VERIFY)])
        node.flows.run_finished(
            "c",
            FlowOutcome(OutcomeKind.SUCCESS),
            bindings=[Binding(told[DatasetName("large")], FlowType.EXECUTE_TRANSFORM)],
        )

    rows = {line.split()[0]: line for line in cities.ok("trigger", "list").splitlines()}
    assert rows["kamu/polled"].rstrip().endswith("failed: source not found: file:///nope")
    assert re.search(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  success", rows["kamu/large"])
    (last,) = [row["last"] for row in cities.json("trigger", "list") if row["dataset"] == "kamu/polled"]
    assert (last["outcome"], last["message"]) == ("FAILED", failed.message)


def test_settings_fit_a_terminal_and_are_told_at_length_where_asked(home: Home) -> None:
    home.write("home/node.yaml", "http: {port: 18999}\n")

    lines = home.ok("settings").splitlines()
    assert max(len(line.rstrip()) for line in lines if not line.startswith("home ")) <= 100
    assert ["http.port", "node.yaml", "18999"] in [line.split() for line in lines]
    assert home.ok("settings", "http.port") == (
        "http.port: 18999  (node.yaml)\n  port of REST and the API\n  may be: a whole number from 1 to 65535\n"
        "  default: 8080; in the environment: KAMU_NODE__HTTP__PORT\n"
    )
    rows = {row["key"]: row for row in home.json("settings")}
    assert rows["http.port"]["value"] == 18999
    assert rows["engine.names"]["value"]["flink"] == "incremental"
    assert "`kamu-node config list` shows" in home.refusal("settings", "htpp")


def test_nothing_to_show_is_said(home: Home) -> None:
    empty = home.run("list")
    assert (empty.code, empty.out) == (0, "")
    assert empty.told.startswith(f"(no datasets in {home.path / 'home'}; ")
    assert home.run("trigger", "list").told.startswith("(no triggers; `kamu-node trigger set ")
    assert home.run("sql", "select 1 as x where false").told == "(no rows)\n"
    home.ok("add", home.write("root.yaml", CITIES.format(name="bare", source="AddPushSource", details="sourceName: a")))
    assert home.run("tail", "bare").told == "(no rows and no columns yet)\n"
    assert home.ok("tail", "bare", "--json") == "[]\n"


def test_a_dataset_of_another_node_is_adopted(cities: Home) -> None:
    cities.ok("ingest", "cities", cities.write("rows.csv", ROWS))
    [dataset] = [row for row in cities.json("list") if row["name"] == "cities"]
    other = Home(cities.path / "other")
    other.path.mkdir()
    place = cities.path / "home" / "datasets" / dataset["id"].rpartition(":")[2]

    assert other.ok("adopt", str(place)) == f"Adopted: kamu/cities ({dataset['id']})\n"
    [adopted] = other.json("list")
    assert adopted == dataset
    assert "is already here" in other.refusal("adopt", str(place), "--alias", "kamu/again")


def test_a_forged_dataset_is_adopted_only_by_who_wants_its_rows_believed(cities: Home) -> None:
    cities.ok("ingest", "cities", cities.write("rows.csv", ROWS))
    [dataset] = [row for row in cities.json("list") if row["name"] == "cities"]
    multibase = dataset["id"].rpartition(":")[2]
    place = Path(shutil.copytree(cities.path / "home" / "datasets" / multibase, cities.path / multibase))
    forged = blocks_of(place)
    write(place, sealed(slice_changed(logical_hash=a_logical_hash("other rows"))(forged)))
    other = Home(cities.path / "other")
    other.path.mkdir()

    refused = other.refusal("adopt", str(place))
    assert f"block {forged[-1].sequence_number} " in refused
    assert "DataLogicalHashMismatch" in refused
    assert other.json("list") == []
    believed = other.run("adopt", str(place), "--skip-rows")
    assert (believed.code, believed.out) == (0, f"Adopted: kamu/cities ({dataset['id']})\n")
    assert "warning: nobody compared the rows of kamu/cities" in believed.told


@pytest.mark.parametrize("says", ["rubbish", None])
def test_the_doctor_tells_of_a_head_that_it_repairs(cities: Home, says: str | None) -> None:
    [alias] = [path for path in cities.path.glob("home/datasets/*/info/alias") if path.read_text().endswith("cities")]
    head = alias.parent.parent / "refs" / "head"
    was = head.read_text()
    head.unlink()
    if says is not None:
        head.write_text(says)

    [finding] = json.loads(cities.ok("doctor", "--dry-run", "--json"))
    assert finding["alias"] == "kamu/cities"
    assert cities.ok("doctor").startswith(f"kamu/cities ({finding['dataset']}): refs/head said ")
    assert head.read_text() == was
    assert cities.ok("doctor") == "nothing to repair\n"


def test_an_address_that_is_not_of_this_machine_is_not_called_taken(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAMU_NODE__HTTP__HOST", "192.0.2.1")

    told = home.refusal("up")

    assert told.startswith("cannot listen on 192.0.2.1:8080: ")
    assert "see `http.port` and its `host`" in told


def test_a_home_that_is_no_folder_is_told(home: Home) -> None:
    home.write("home", "a file")

    told = home.refusal("list")
    assert "cannot be used as a folder of the node: it is no folder; --home or KAMU_NODE_HOME names another" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("log", "nope"), "dataset nope does not exist; `kamu-node list` shows what there is"),
        (("tail", "../etc"), "is not a valid"),
        (("tail", "p_a"), "'p_a' is not a valid dataset alias: write `name` or `account/name`; names are letters A-Z"),
        (("pull", "nope"), "dataset nope does not exist"),
        (("ingest", "cities", "nope.csv"), "nope.csv is not a file"),
        (("ingest", "cities", "--stdin", "--source-name", "nope"), "Source 'nope' not found; `kamu-node log <"),
        (("ingest", "large", "--stdin"), "is a derivative dataset"),
        (
            ("ingest", "polled", "--stdin"),
            "kamu/polled polls its source and takes no pushes: use `kamu-node pull kamu/",
        ),
        (("sql", "selec 1"), "sql parser error"),
        (("sql", "select * from nope"), "table 'kamu.kamu.nope' not found; `kamu-node list` shows"),
        (("add", "nope.yaml"), "nope.yaml: No such file"),
        (("add", "manifests"), "use --recursive"),
        (("add", "manifests/other.yaml"), "other.yaml: "),
        (("adopt", "manifests"), "is not a dataset directory"),
        (("trigger", "set", "nope", "--every", "1h"), "dataset nope does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_refusals_are_one_line(refusing: Home, arguments: tuple[str, ...], told: str) -> None:
    assert told in refusing.refusal(*arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ingest", "cities", "--stdin", "--event-time", "yesterday"), "yesterday"),
        (("ingest", "cities", "--stdin", "--input-format", "xml"), "there are csv, json"),
        (("sql", "select 1", "--format", "xml"), "unknown format 'xml'"),
        (("trigger", "set", "polled"), "say when"),
        (("trigger", "set", "polled", "--every", "soon"), "is not an interval"),
        (("trigger", "set", "polled", "--cron", "soon"), "cron"),
        (("trigger", "set", "polled", "--every", "0s"), "not 0; write --every 1h, or"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_values_that_mean_nothing_are_misuse(refusing: Home, arguments: tuple[str, ...], told: str) -> None:
    assert told in refusing.misuse(*arguments)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that stays as it is."""
    home = Home(tmp_path_factory.mktemp("refusing"))
    push = CITIES.format(name="cities", source="AddPushSource", details="sourceName: default")
    poll = CITIES.format(name="polled", source="SetPollingSource", details="fetch: {kind: Url, url: 'file:///nope'}")
    home.write("manifests/other.yaml", "a: 1\n")
    home.ok("add", home.write("all.yaml", f"{push}---{poll}---{DERIVATIVE}"))
    return home


def test_a_source_that_is_not_there_is_told_and_others_go_on(refusing: Home) -> None:
    done = refusing.run("pull", "polled", "cities")

    assert done.code == 1
    assert done.told.startswith("error: kamu/polled: ")
    assert done.out == "kamu/cities: nothing to poll, data is pushed to it\n"


def test_a_bug_met_by_one_dataset_is_told_and_others_go_on(
    refusing: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise JobBugError("a job of engine failed: TypeError: of all things\nTraceback and so on")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Poller, "poll", fail)

    done = refusing.run("pull", "polled", "cities", "large")

    assert done.code == 1
    assert [line.partition(": unexpected")[0] for line in done.told.splitlines()] == [
        "error: kamu/polled",
        "error: kamu/cities",
    ]
    assert "JobBugError: a job of engine failed: TypeError: of all things. This is a bug" in done.told
    assert done.out == "kamu/large: waiting for data in kamu/cities\n"
    assert "Traceback and so on" in next(tmp_path.glob("kamu-node-*.log")).read_text()


def test_bad_data_names_file_and_line(refusing: Home) -> None:
    rows = refusing.write("bad.csv", ROWS + "2024-01-01T00:00:00Z,Oslo,many\n")

    told = refusing.refusal("ingest", "cities", rows)

    assert told.startswith("bad.csv, line 4, column `population`: ")


def test_a_manifest_that_is_no_text_is_refused(refusing: Home) -> None:
    assert refusing.refusal("add", refusing.write("bad.yaml", b"\xff\xfe")).endswith("bad.yaml: byte 0 is not UTF-8")


@pytest.fixture
def filled(cities: Home) -> Home:
    """The same with data in all three."""
    cities.ok("ingest", "cities", cities.write("rows.csv", ROWS), "--input-format", "csv")
    cities.ok("pull", "--all")
    return cities


def _slice_of(home: Home, dataset: str) -> Path:
    (listed,) = [found for found in home.json("list") if found["name"] == dataset]
    folder = home.path / "home/datasets" / str(listed["id"]).removeprefix("did:odf:") / "data"
    (found,) = folder.iterdir()
    return found


def test_what_is_sound_verifies(filled: Home) -> None:
    told = filled.ok("verify", "cities", "large")

    assert re.fullmatch(
        r"kamu/cities: valid: 5 block\(s\), 2 record\(s\) in \d+\.\d s\n"
        r"kamu/large: valid: 4 block\(s\), 1 record\(s\), 1 result\(s\) computed again in \d+\.\d s\n",
        told,
    )
    (row,) = filled.json("verify", "large", "--integrity")
    assert (row["verdict"], row["scope"], row["replays"]) == ("Valid", "integrity", 0)


def test_one_broken_dataset_is_told_and_the_others_are_verified_too(filled: Home) -> None:  # DS-17, KD-27
    path = _slice_of(filled, "polled")
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    done = filled.run("verify", "%", "--json")

    rows = {row["dataset"]: row for row in json.loads(done.out)}
    assert done.code == 1
    results = {name: row["result"] for name, row in rows.items()}
    assert results == {"kamu/cities": "valid", "kamu/large": "valid", "kamu/polled": "invalid"}
    (fault,) = rows["kamu/polled"]["faults"]
    assert (fault["kind"], fault["file"]) == ("DataPhysicalHashMismatch", f"data/{path.name}")
    assert fault["sequenceNumber"] == 4
    assert fault["expected"] == path.name != fault["found"]


@pytest.mark.parametrize(
    "command", [("tail", "cities"), ("sql", "select * from cities"), ("pull", "large")], ids=lambda command: command[0]
)
@pytest.mark.parametrize("damage", ["is missing", "is damaged"])
def test_whoever_reads_a_bad_slice_hears_whose_it_is(cities: Home, command: tuple[str, ...], damage: str) -> None:
    cities.ok("ingest", "cities", cities.write("rows.csv", ROWS))
    path = _slice_of(cities, "cities")
    if damage == "is missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])

    told = cities.refusal(*command)

    assert f"data slice {path.name} of kamu/cities {damage}: `kamu-node verify kamu/cities` " in told


def test_a_verdict_says_where_and_what_to_do(filled: Home) -> None:
    path = _slice_of(filled, "cities")
    path.unlink()

    told = filled.refusal("verify", "cities")

    assert told.startswith(f"kamu/cities: ObjectNotFound: data/{path.name} of block 4 (f1620")
    assert told.endswith("is not there: restore it from a copy of the dataset")


def test_inputs_are_verified_first_when_asked_for(filled: Home) -> None:
    told = filled.ok("verify", "--recursive", "large").splitlines()

    assert [line.partition(":")[0] for line in told] == ["kamu/cities", "kamu/large"]


def test_a_name_without_a_dataset_does_not_stop_the_others(filled: Home) -> None:
    done = filled.run("verify", "nothing", "cities")

    assert done.code == 1
    assert "error: nothing: could not be verified: dataset nothing does not exist; `kamu-node list` shows" in done.told
    assert done.out.startswith("kamu/cities: valid")
