"""Windows and temporal joins on a node: manifests in, rows out, a chain that others accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.errors import TransformFailedError
from kamu_assets.coordinator.results import PullResult, Updated
from kamu_assets.coordinator.service import PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.registry import UnknownEngineError
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.node import Node, open_node
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetTransform
from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.odf.identity import parse_dataset_ref
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.setting_sections import EngineSettings
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import data_key, dataset_folder
from tests.support.command_line import Home
from tests.support.manifests import a_manifest, derivative, pushed_root, reading
from tests.support.verifier.dataset import verify

HOURLY = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, origin, count(*) AS departures, "
    "avg(delay) AS delay FROM flights GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR), origin"
)
DAILY = (
    "SELECT window_start AS event_time, sum(departures) AS departures "
    "FROM TABLE(TUMBLE(TABLE hourly, DESCRIPTOR(event_time), INTERVAL '1' DAY)) GROUP BY window_start, window_end"
)
MET = (
    "SELECT flights.event_time, flights.origin, delay, weather.temp "
    "FROM flights LEFT JOIN weather FOR SYSTEM_TIME AS OF flights.event_time ON flights.origin = weather.origin"
)
LATERAL = (
    "SELECT f.event_time, f.origin, f.delay, w.temp FROM flights AS f, LATERAL TABLE (weather(f.event_time)) AS w "
    "WHERE f.origin = w.origin"
)
KEY = "temporalTables: [{name: weather, primaryKey: [origin]}]"


def a_root(name: str, column: str) -> str:
    return pushed_root(name, reading("event_time TIMESTAMP", "origin STRING", f"{column} DOUBLE"))


def flink(name: str, query: str, *inputs: str, options: str = "") -> str:
    return derivative(name, query, *inputs, engine="flink", options=options)


FLIGHTS, WEATHER = a_root("flights", "delay"), a_root("weather", "temp")
DERIVED = ("hourly", "daily", "met", "met.lateral")
MANIFESTS = (
    FLIGHTS,
    WEATHER,
    flink("hourly", HOURLY, "flights"),
    flink("daily", DAILY, "hourly"),
    flink("met", MET, "flights", "weather"),
    flink("met.lateral", LATERAL, "flights", "weather", options=KEY),
)
Departure = tuple[str, str, float]


@dataclass(frozen=True)
class Story:
    """A node whose datasets grow."""

    node: Node

    def entry(self, name: str) -> DatasetEntry:
        return self.node.datasets.resolve(self.node.auth.admin_caller(), parse_dataset_ref(name))

    def add(self, *manifests: str) -> None:
        for text in manifests:
            self.node.datasets.create_from_snapshot(self.node.auth.admin_caller(), text)

    def push(self, name: str, *rows: Departure) -> None:
        self.node.coordinator.push(self.node.auth.admin_caller(), self.entry(name).id, PushData(lines(name, *rows)))

    def pull(self, *names: str) -> dict[str, PullResult]:
        caller = self.node.auth.admin_caller()
        return {name: self.node.coordinator.pull(caller, self.entry(name).id) for name in names or DERIVED}

    def state(self, name: str) -> ChainState:
        return self.node.chains.state(self.entry(name).id)

    def rows(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Day and time of each row in offset order, and other columns."""
        entry = self.entry(name)
        head = self.node.chains.head(entry.id)
        assert head is not None
        interval = self.node.chains.interval(entry.id, after=None, until=head)
        store = self.node.volumes.for_kind(entry.kind)
        paths = [store.location(data_key(entry.id, found.physical_hash)) for found in interval.slices]
        table = pa.concat_tables(pq.read_table(path) for path in paths) if paths else pa.table({})
        return [(f"{row['event_time']:%dT%H:%M}", *(row[column] for column in columns)) for row in table.to_pylist()]


def lines(name: str, *rows: Departure) -> bytes:
    column = {"flights": "delay", "weather": "temp"}[name]
    found = [{"event_time": f"2024-01-{at}:00Z", "origin": where, column: value} for at, where, value in rows]
    return "\n".join(json.dumps(row) for row in found).encode()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Two roots and four derivatives, one of them of another."""
    with open_node(load_settings(tmp_path / "home")) as node:
        story = Story(node)
        story.add(*MANIFESTS)
        yield story


def test_windows_close_as_data_comes_in(story: Story) -> None:
    story.push(
        "flights", ("01T08:10", "JFK", 5), ("01T08:50", "JFK", 10), ("01T08:59", "LGA", 0), ("01T09:05", "JFK", 1)
    )
    first = story.pull("hourly", "daily")
    story.push("flights", ("01T08:59", "JFK", 99), ("01T09:30", "JFK", 2), ("02T10:00", "JFK", 3))
    second = story.pull("hourly", "daily")

    assert story.rows("hourly", "origin", "departures", "delay") == [
        ("01T08:00", "JFK", 2, 7.5),
        ("01T08:00", "LGA", 1, 0.0),
        ("01T09:00", "JFK", 2, 1.5),
    ]
    assert story.rows("daily", "departures") == [("01T00:00", 5)]
    told = [result for result in (*first.values(), *second.values()) if isinstance(result, Updated)]
    assert [(result.records, result.late_rows) for result in told] == [(2, 0), (0, 0), (1, 1), (1, 0)]
    # The hour of the newest row is still open; a day with an open hour is, too.
    assert str(story.state("hourly").watermark) == "2024-01-02T10:00:00Z"
    assert str(story.state("daily").watermark) == "2024-01-02T00:00:00Z"


def test_flights_meet_the_weather_of_their_time(story: Story) -> None:
    story.push(
        "flights", ("01T08:10", "JFK", 5), ("01T09:10", "JFK", 6), ("01T09:10", "EWR", 7), ("01T10:30", "JFK", 8)
    )
    story.pull("met", "met.lateral")
    story.push("weather", ("01T08:00", "JFK", -1.5), ("01T09:00", "JFK", 2), ("01T10:00", "JFK", 3))
    story.pull("met", "met.lateral")
    met = [("01T08:10", "JFK", 5.0, -1.5), ("01T09:10", "EWR", 7.0, None), ("01T09:10", "JFK", 6.0, 2.0)]
    # What the weather was at half past ten is not known before it is measured again.
    assert story.rows("met", "origin", "delay", "temp") == met
    assert story.rows("met.lateral", "origin", "delay", "temp") == [met[0], met[2]]

    story.push("weather", ("01T11:00", "JFK", 4))
    story.pull("met")
    assert story.rows("met", "origin", "delay", "temp") == met
    end = Timestamp.parse("2024-01-01T10:31:00Z")
    story.node.coordinator.set_watermark(story.node.auth.admin_caller(), parse_dataset_ref("flights"), end)
    story.pull("met")
    assert story.rows("met", "origin", "delay", "temp") == [*met, ("01T10:30", "JFK", 8.0, 3.0)]


def test_chains_with_checkpoints_are_accepted_and_computed_again(story: Story) -> None:
    for hour in range(3):
        story.push("flights", (f"01T0{hour}:10", "JFK", hour), (f"01T0{hour}:50", "LGA", 0.1))
        story.push("weather", (f"01T0{hour}:00", "JFK", hour), (f"01T0{hour}:00", "LGA", 1))
        story.pull()

    for name in DERIVED:
        entry = story.entry(name)
        assert story.state(name).checkpoint is not None
        assert verify(story.node.settings.derivative_path / dataset_folder(entry.id)).watermark is not None
        report = story.node.coordinator.verify(story.node.auth.admin_caller(), entry.id)
        assert report.is_valid, report
        assert report.counts.replays == 3


def test_a_changed_query_does_not_go_on_from_the_state_of_another(story: Story) -> None:
    story.push("flights", ("01T08:10", "JFK", 5))
    story.pull("hourly")
    event = story.state("hourly").transform
    assert event is not None
    (step,) = normalize_transform(event.transform).queries or ()
    queries = (step.model_copy(update={"query": HOURLY.replace("avg", "max")}),)
    changed = event.model_copy(
        update={"transform": event.transform.model_copy(update={"query": None, "queries": queries})}
    )
    caller = story.node.auth.admin_caller()
    story.node.coordinator.commit_event(caller, parse_dataset_ref("hourly"), changed)
    story.push("flights", ("01T09:10", "JFK", 5))

    with pytest.raises(TransformFailedError, match="belongs to another query or other inputs; reset the dataset"):
        story.pull("hourly")


def test_other_names_are_what_the_settings_say(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, engine=EngineSettings(names={"risingwave": "incremental"}))
    with open_node(settings) as node:
        story = Story(node)
        story.add(
            FLIGHTS, flink("hourly", HOURLY, "flights"), derivative("rising", HOURLY, "flights", engine="risingwave")
        )
        story.push("flights", ("01T08:10", "JFK", 5), ("01T09:10", "JFK", 5))

        with pytest.raises(UnknownEngineError, match="unknown engine 'flink'; known engines: risingwave"):
            story.pull("hourly")
        story.pull("rising")

        assert story.rows("rising", "departures") == [("01T08:00", 1)]


def test_late_rows_are_told_to_people_and_scripts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ok("add", "--stdin", stdin="---\n".join([FLIGHTS, flink("hourly", HOURLY, "flights")]).encode())
    home.ok("ingest", "flights", "--stdin", stdin=lines("flights", ("01T08:10", "JFK", 5), ("01T09:05", "JFK", 1)))
    (first,) = home.json("pull", "hourly")
    home.ok("ingest", "flights", "--stdin", stdin=lines("flights", ("01T08:59", "JFK", 99)))

    told = home.ok("pull", "hourly")

    assert first["lateRows"] == 0
    assert told == "kamu/hourly: 0 new record(s) in 1 block(s); 1 late record(s) of its inputs left out\n"


@pytest.mark.parametrize(
    ("query", "construct"),
    [
        (HOURLY.replace("GROUP BY TUMBLE", "GROUP BY HOP"), "HOP(…) is not supported"),
        (HOURLY.replace("'1' HOUR", "'1' MONTH"), "a window of INTERVAL 1 MONTH (not so many"),
        ("SELECT event_time, now() AS seen FROM flights", "now(), which is not the same on every run,"),
    ],
)
def test_what_no_data_makes_computable_is_refused_when_it_is_added(tmp_path: Path, query: str, construct: str) -> None:
    with open_node(load_settings(tmp_path)) as node:
        admin = node.auth.admin_caller()
        node.datasets.create_from_snapshot(admin, FLIGHTS)
        sound = node.datasets.create_from_snapshot(admin, flink("sound", HOURLY, "flights"))
        event = next(
            found.block.event for found in node.chains.blocks(sound.id) if isinstance(found.block.event, SetTransform)
        )
        transform = normalize_transform(TransformSql(engine="flink", query=query))

        with pytest.raises(InvalidQueryError) as refused:
            node.datasets.create_from_snapshot(admin, flink("hopping", query, "flights"))
        with pytest.raises(InvalidQueryError):
            node.coordinator.commit_event(admin, sound.id, event.model_copy(update={"transform": transform}))

        assert str(refused.value).startswith(f"engine 'flink': {construct}")
        assert [str(entry.name) for entry in node.datasets.list(admin)] == ["flights", "sound"]
        # Of `datafusion` nothing is known before it has run.
        node.datasets.create_from_snapshot(admin, derivative("stateless", query, "flights"))


def test_other_implementations_of_the_name_may_know_more(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, engine=EngineSettings(names={"flink": "grpc://127.0.0.1:1"}))
    with open_node(settings) as node:
        admin = node.auth.admin_caller()
        node.datasets.create_from_snapshot(admin, FLIGHTS)

        node.datasets.create_from_snapshot(admin, flink("hopping", HOURLY.replace("TUMBLE(", "HOP("), "flights"))


def test_the_command_line_tells_at_once_what_an_engine_refuses(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write("flights.yaml", FLIGHTS)
    home.write("hopping.yaml", flink("hopping", HOURLY.replace("GROUP BY TUMBLE", "GROUP BY HOP"), "flights"))
    home.ok("add", "flights.yaml")

    done = home.run("add", "hopping.yaml")

    assert done.code == 1
    assert "hopping: engine 'flink': HOP(…) is not supported" in done.out + done.told
    assert home.run("log", "hopping").code == 1


def test_preprocess_queries_run_in_the_engine_of_the_settings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    source = "{kind: AddPushSource, sourceName: default, read: {kind: NdJson, ddlSchema: [city STRING, n INT]}, "
    does = "preprocess: {kind: Sql, engine: flink, query: 'SELECT city, n * 2 AS n FROM input'}, merge: {kind: Append}}"
    home.write("cities.yaml", a_manifest("cities", "Root", source + does))
    home.ok("add", "cities.yaml")

    home.ok("ingest", "cities", "--stdin", "--input-format", "ndjson", stdin=b'{"city": "A", "n": 4}\n')

    assert home.json("sql", "select city, n from cities") == [{"city": "A", "n": 8}]
