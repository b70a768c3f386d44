"""A day of an operator and an analyst, by the public doors only: the command line, REST, and Dagster's stock webserver.

Every step compares what the doors say with each other and with the data that went in.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pyarrow import parquet

from tests.support.desk import PATIENCE, Desk, a_desk
from tests.support.waiting import wait_until
from tests.support.web_source import Route, WebSource, web_source

SAMPLE = """taken_at,station,celsius
2024-05-01T08:00:00Z,harbour,11.5
2024-05-01T08:20:00Z,airport,10.1
2024-05-01T08:40:00Z,harbour,12.5
"""
NINE = '{"taken_at": "2024-05-01T09:10:00Z", "station": "harbour", "celsius": 13.0}\n'
TEN = '{"taken_at": "2024-05-01T10:05:00Z", "station": "airport", "celsius": 12.0}\n'
ELEVEN = '{"taken_at": "2024-05-01T11:30:00Z", "station": "harbour", "celsius": 9.0}\n'
STATIONS = "station,height\nharbour,4.5\nairport,31\n"
DERIVATIVES = """
kind: DatasetSnapshot
version: 1
content:
  name: readings.warm
  kind: Derivative
  metadata:
  - kind: SetTransform
    inputs: [{datasetRef: readings}]
    transform:
      kind: Sql
      engine: datafusion
      query: select op, taken_at, station, celsius * 2 + 30 as fahrenheit from readings where celsius > 11
  - {kind: SetVocab, eventTimeColumn: taken_at}
---
kind: DatasetSnapshot
version: 1
content:
  name: readings.hourly
  kind: Derivative
  metadata:
  - kind: SetTransform
    inputs: [{datasetRef: readings}]
    transform:
      kind: Sql
      engine: flink
      query: >-
        select tumble_start(taken_at, interval '1' hour) as hour_start, station, count(1) as readings,
        max(celsius) as warmest from readings group by tumble(taken_at, interval '1' hour), station
  - {kind: SetVocab, eventTimeColumn: hour_start}
"""
NUMBERS = 'select taken_at, station, celsius from "kamu/readings" order by "offset"'
ERROR = 'stations.csv, line 3, column `height`: "high up" is not a valid DOUBLE; correct it'
_WHY_IT_FAILED = """query ($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection(limit: 1000) { events {
  ... on ExecutionStepFailureEvent { failureMetadata { description } error { message causes { message } } } } } } } }"""
_LINEAGE = "{ assetNodes { assetKey { path } dependencyKeys { path } groupName } }"

pytestmark = pytest.mark.timeout(900)


def test_a_day_of_an_operator_and_an_analyst(tmp_path: Path) -> None:
    with web_source() as site, a_desk(tmp_path) as desk:
        start(desk, site)
        add_datasets(desk, site)
        morning = push(desk)
        derivatives_follow(desk)
        all_doors_show_the_same(desk)
        proven = ask_in_every_format(desk)
        travel_in_time(desk, morning)
        export(desk)
        see_lineage(desk)
        repair_a_source(desk, site)
        rename(desk)
        verify(desk)
        watch(desk)
        delete(desk)
        evening = stop(desk)
        go_on(desk, evening, proven)


def start(desk: Desk, site: WebSource) -> None:
    site.routes["/stations.csv"] = Route(STATIONS.encode(), etag="whole")
    desk.type("config", "set", "egress.allow", json.dumps([site.url.removeprefix("http://")]))
    assert "does not run" in desk.type("status", code=1)

    desk.type("up", "--detach")

    for probe in ("liveness", "startup", "readiness"):
        assert desk.get("/system/health", type=probe) == {"ok": True}
    assert desk.told("list") == []


def add_datasets(desk: Desk, site: WebSource) -> None:
    """Two roots from samples, one to be pushed to and one to be polled; two derivatives by hand."""
    desk.write("readings.csv", SAMPLE)
    desk.write("stations.csv", STATIONS)
    for name in ("readings", "stations"):
        desk.type("new", name, "--from", f"{name}.csv")
    readings = yaml.safe_load((desk.folder / "readings.yaml").read_text())
    guessed, vocabulary = readings["content"]["metadata"]
    assert guessed["read"]["ddlSchema"] == ["taken_at TIMESTAMP", "station STRING", "celsius DOUBLE"]
    assert vocabulary == {"kind": "SetVocab", "eventTimeColumn": "taken_at"}
    merge = {"kind": "Ledger", "primaryKey": ["taken_at", "station"]}
    push_source = {"kind": "AddPushSource", "sourceName": "default", "read": guessed["read"], "merge": merge}
    readings["content"]["metadata"] = [push_source, vocabulary]
    stations = desk.folder / "stations.yaml"
    address = (desk.folder / "stations.csv").as_uri()
    stations.write_text(stations.read_text().replace(address, f"{site.url}/stations.csv"))

    desk.type("add", "stations.yaml")
    desk.type("add", "--stdin", stdin=yaml.safe_dump(readings) + "---" + DERIVATIVES)

    assert desk.told("pull", "stations")[0]["records"] == 2
    assert [(each["name"], each["kind"], each["records"]) for each in desk.told("list")] == [
        ("readings", "Root", 0),
        ("readings.hourly", "Derivative", 0),
        ("readings.warm", "Derivative", 0),
        ("stations", "Root", 2),
    ]
    desk.wait_for_assets("readings", "readings.hourly", "readings.warm", "stations")


def push(desk: Desk) -> str:
    """A file, a record, and both again, which changes nothing; the head after the file."""
    empty = desk.head("readings")
    desk.push("readings", SAMPLE, "text/csv", status=403, with_token=False)
    assert desk.head("readings") == empty

    desk.push("readings", SAMPLE, "text/csv")
    morning = desk.head("readings")
    desk.push("readings", NINE, "application/x-ndjson")
    head = desk.head("readings")
    desk.push("readings", SAMPLE, "text/csv")
    desk.push("readings", NINE, "application/x-ndjson")

    assert desk.head("readings") == head
    assert len({empty, morning, head}) == 3
    assert desk.rows(NUMBERS) == [
        ["2024-05-01T08:00:00Z", "harbour", 11.5],
        ["2024-05-01T08:20:00Z", "airport", 10.1],
        ["2024-05-01T08:40:00Z", "harbour", 12.5],
        ["2024-05-01T09:10:00Z", "harbour", 13.0],
    ]
    return morning


def derivatives_follow(desk: Desk) -> None:
    """Row by row at once; the hour as soon as it is over."""
    warm = desk.wait_for_tail("readings.warm", last_offset=2)
    hourly = desk.wait_for_tail("readings.hourly", last_offset=1)

    # Pushes that are followed together are read in an order of their own.
    assert sorted(row["fahrenheit"] for row in warm) == [53.0, 55.0, 56.0]
    assert sorted((row["hour_start"], row["station"], row["readings"], row["warmest"]) for row in hourly) == [
        ("2024-05-01T08:00:00Z", "airport", 1, 10.1),
        ("2024-05-01T08:00:00Z", "harbour", 2, 12.5),
    ]


def all_doors_show_the_same(desk: Desk) -> None:
    """Identity, head, rows and columns of every dataset: from the command line, REST, SQL and Dagster."""
    for each in desk.told("list"):
        name, head, records = each["name"], each["head"], each["records"]
        seed, reference = seed_and_reference(desk, name)
        assert (seed["datasetId"], seed["datasetKind"], reference) == (each["id"], each["kind"], head)
        assert desk.get(f"/datasets/{each['id']}")["datasetName"] == name
        assert desk.rows(f'select count(*) from "kamu/{name}"') == [[records]]
        seen = desk.wait_for_materialization(name, head)
        assert (seen.metadata["kamu/dataset_id"], seen.metadata["dagster/row_count"]) == (each["id"], records)
        # Only what the node computed by itself has a run; pushes, and pulls at the command line, are told without.
        assert bool(seen.run_id) is (each["kind"] == "Derivative")
        if seen.run_id:
            assert desk.wait_for_run(seen.run_id) == "SUCCESS"
    (newest, *_) = desk.told("log", "readings", "--limit", "1")
    assert newest["blockHash"] == desk.head("readings")
    assert desk.told("tail", "readings") == desk.get("/kamu/readings/tail")["data"]
    assert desk.told("sql", NUMBERS) == desk.ask(NUMBERS)["output"]["data"]


def seed_and_reference(desk: Desk, name: str) -> tuple[dict[str, str], str]:
    parts = desk.get(f"/kamu/{name}/metadata", include="seed,refs")["output"]
    return parts["seed"], parts["refs"][0]["blockHash"]


def ask_in_every_format(desk: Desk) -> dict[str, Any]:
    """The same rows in each; an answer that is proven, without what it said."""
    sql = 'select station, max(celsius) as warmest from "kamu/readings" group by 1 order by 1'
    rows = {form: desk.ask(sql, dataFormat=form)["output"]["data"] for form in ("JsonAoS", "JsonSoA", "JsonAoA")}
    assert rows == {
        "JsonAoS": [{"station": "airport", "warmest": 10.1}, {"station": "harbour", "warmest": 13.0}],
        "JsonSoA": {"station": ["airport", "harbour"], "warmest": [10.1, 13.0]},
        "JsonAoA": [["airport", 10.1], ["harbour", 13.0]],
    }
    for form in ("OdfJson", "ArrowJson", "ParquetJson"):
        output = desk.get("/query", query=sql, schemaFormat=form)["output"]
        assert output["data"] == rows["JsonAoS"]
        assert [field["name"] for field in output["schema"]["fields"]] == ["station", "warmest"]

    answer: dict[str, Any] = desk.ask(sql, include=["Schema", "Proof"], schemaFormat="OdfJson")

    assert answer.pop("output")["data"] == rows["JsonAoS"]
    assert [each["blockHash"] for each in answer["input"]["datasets"]] == [desk.head("readings")]
    assert desk.post("/verify", answer) == {"ok": True}
    other = desk.ask(sql.replace("max", "min"), include=["Proof"])
    forged = answer | {"commitment": other["commitment"]}
    assert desk.post("/verify", forged, status=400)["error"]["kind"].startswith("InvalidRequest")
    return answer


def travel_in_time(desk: Desk, morning: str) -> None:
    """By block, offset and time, in SQL and beside it."""
    first = desk.told("log", "readings", "--filter", "AddData")[-1]["block"]
    for then, records in ((f"'{morning}'", 3), ("1", 2), (f"'{first['systemTime']}'", 3)):
        assert desk.rows(f"select count(*) from as_of('kamu/readings', {then})") == [[records]]

    (entry,) = desk.told("list", "readings")
    pinned = {"id": entry["id"], "alias": "readings", "blockHash": morning}
    assert desk.rows("select count(*) from readings", datasets=[pinned]) == [[3]]


def export(desk: Desk) -> None:
    """To files of every kind, with the rows that queries give."""
    celsius = [11.5, 10.1, 12.5, 13.0]
    for form in ("parquet", "csv", "ndjson"):
        told = desk.told("export", "readings", "-o", form, "--output-path", f"out.{form}")
        assert (told["records"], told["format"]) == (4, form)

    assert parquet.read_table(desk.folder / "out.parquet")["celsius"].to_pylist() == celsius
    with (desk.folder / "out.csv").open(newline="") as file:
        assert [float(row["celsius"]) for row in csv.DictReader(file)] == celsius
    lines = (desk.folder / "out.ndjson").read_text().splitlines()
    assert [json.loads(line)["celsius"] for line in lines] == celsius


def see_lineage(desk: Desk) -> None:
    """The same arrows in text, in a picture and in Dagster."""
    told = {each["dataset"]: [one["dataset"] for one in each["inputs"]] for each in desk.told("inspect", "lineage")}
    nodes = desk.ui.ask(_LINEAGE)["assetNodes"]
    shown = {"/".join(node["assetKey"]["path"]): node for node in nodes}

    assert told == {
        "kamu/readings": [],
        "kamu/readings.hourly": ["kamu/readings"],
        "kamu/readings.warm": ["kamu/readings"],
        "kamu/stations": [],
    }
    assert {name: ["/".join(key["path"]) for key in node["dependencyKeys"]] for name, node in shown.items()} == told
    assert {node["groupName"] for node in nodes} == {"kamu"}
    assert desk.type("inspect", "lineage", "-o", "mermaid").count("-->") == 2
    picture = desk.type("inspect", "lineage", "-o", "html")
    assert all(name in picture for name in told)


def repair_a_source(desk: Desk, site: WebSource) -> None:
    """The run of a poll that fails says what is wrong and where; once that is put right, the same button works."""
    before = desk.head("stations")
    (entry,) = desk.told("list", "stations")
    site.routes["/stations.csv"] = Route(STATIONS.replace("31", "high up").encode(), etag="damaged")

    desk.type("trigger", "set", "stations", "--every", "2s")
    failed = wait_until(lambda: runs(desk, entry["id"], "FAILURE"), patience=PATIENCE, every=0.2)[0]
    desk.type("trigger", "pause", "stations")

    events = desk.ui.ask(_WHY_IT_FAILED, id=failed)["runOrError"]["eventConnection"]["events"]
    assert ERROR in json.dumps([event for event in events if event], ensure_ascii=False).replace('\\"', '"')
    (trigger,) = wait_until(lambda: ended_triggers(desk), patience=PATIENCE, every=0.5)
    assert trigger["last"]["outcome"] == "FAILED"
    assert ERROR in trigger["last"]["message"]
    assert ERROR[:60] in desk.type("status")
    assert desk.head("stations") == before

    site.routes["/stations.csv"] = Route((STATIONS + "pier,2\n").encode(), etag="repaired")
    assert desk.wait_for_run(desk.ui.materialize(("kamu", "stations"))) == "SUCCESS"

    heights = [["airport", 31.0], ["harbour", 4.5], ["pier", 2.0]]
    assert desk.rows('select station, height from "kamu/stations" order by 1') == heights
    desk.wait_for_materialization("stations", desk.head("stations"))


def runs(desk: Desk, dataset_id: str, status: str) -> list[str]:
    found = desk.ui.runs(tags={"kamu/dataset_id": dataset_id})
    return [run.id for run in found if run.status == status]


def ended_triggers(desk: Desk) -> list[dict[str, Any]]:
    return [each for each in desk.told("trigger", "list") if each.get("last")]


def rename(desk: Desk) -> None:
    """Only the name is another; what comes later arrives under it."""
    (before,) = desk.told("list", "readings.warm")

    desk.type("rename", "readings.warm", "readings.summer")

    (after,) = desk.told("list", "readings.summer")
    assert after == {**before, "name": "readings.summer"}
    desk.get("/kamu/readings.warm/tail", status=404)
    desk.wait_for_assets("readings", "readings.hourly", "readings.summer", "stations")
    desk.push("readings", TEN, "application/x-ndjson")
    assert desk.wait_for_tail("readings.summer", last_offset=3)[-1]["fahrenheit"] == 54.0
    assert desk.wait_for_tail("readings.hourly", last_offset=2)[-1]["warmest"] == 13.0
    seen = desk.wait_for_materialization("readings.summer", desk.head("readings.summer"))
    assert seen.metadata["kamu/dataset_id"] == before["id"]


def verify(desk: Desk) -> None:
    """At the command line, and as Dagster's check of the asset."""
    run_id = desk.ui.execute_check(("kamu", "readings.hourly"), "verify")
    told = desk.told("verify", "%")

    assert [(each["dataset"], each["result"], each["replays"] > 0) for each in told] == [
        ("kamu/readings", "valid", False),
        ("kamu/readings.hourly", "valid", True),
        ("kamu/readings.summer", "valid", True),
        ("kamu/stations", "valid", False),
    ]
    assert desk.wait_for_run(run_id) == "SUCCESS"
    (check,) = desk.ui.checks(("kamu", "readings.hourly"), "verify")
    assert (check.run_id, check.status, check.description) == (run_id, "SUCCEEDED", "valid")
    assert (check.metadata["kamu/head"], check.metadata["records"]) == (told[1]["head"], 3)


def watch(desk: Desk) -> None:
    """Metrics count what was done today; state and health are good although a poll failed."""
    families = text_string_to_metric_families(desk.http.get(f"{desk.api}/system/metrics").text)
    samples = [sample for family in families for sample in family.samples]

    def total(name: str, **labels: str) -> float:
        found = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
        return sum(found)

    # Five readings were pushed; a station came by a run, and the two before it at the command line, which is no server.
    assert total("kamu_node_ingest_records_total", process="api") == 5
    assert total("kamu_node_ingest_records_total", process="worker") == 1
    assert total("kamu_node_transform_records_total", process="worker") == 4 + 3
    assert total("kamu_node_ingest_failures_total", kind="TypeMismatchError", process="worker") >= 1
    assert total("kamu_node_http_requests_total", route="/{account_name}/{dataset_name}/ingest", status="403") == 1
    assert desk.get("/system/health", type="readiness") == {"ok": True}
    status = desk.told("status")
    assert (status["running"], status["ready"]) == (True, True)


def delete(desk: Desk) -> None:
    """Refused while others need it; gone at every door otherwise."""
    assert "readings.hourly" in desk.type("delete", "readings", "--yes", code=1)

    desk.type("delete", "readings.summer", "--yes")

    assert [each["name"] for each in desk.told("list")] == ["readings", "readings.hourly", "stations"]
    desk.get("/kamu/readings.summer/tail", status=404)
    desk.wait_for_assets("readings", "readings.hourly", "stations")


def stop(desk: Desk) -> list[dict[str, Any]]:
    """Nothing answers any more, and the command line still knows all."""
    evening: list[dict[str, Any]] = desk.told("list")

    desk.type("down")

    desk.type("status", code=1)
    assert desk.told("list") == evening
    assert [(each["name"], each["records"]) for each in evening] == [
        ("readings", 5),
        ("readings.hourly", 3),
        ("stations", 3),
    ]
    return evening


def go_on(desk: Desk, evening: list[dict[str, Any]], proven: dict[str, Any]) -> None:
    """The next morning all is there, what was proven stays proven, and what comes is followed."""
    desk.type("up", "--detach")

    assert desk.told("list") == evening
    for each in evening:
        assert desk.head(each["name"]) == each["head"]
        desk.wait_for_materialization(each["name"], each["head"])
    assert desk.post("/verify", proven) == {"ok": True}
    assert [(each["rule"], each["paused"]) for each in desk.told("trigger", "list")] == [("every 2s", True)]

    desk.push("readings", ELEVEN, "application/x-ndjson")

    assert desk.wait_for_tail("readings.hourly", last_offset=3)[-1]["hour_start"] == "2024-05-01T10:00:00Z"
    assert desk.rows('select count(*) from "kamu/readings"') == [[6]]
