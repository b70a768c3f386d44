"""`kamu-node new`: what it writes is added and pulled as it is."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.odf.serde.yaml import parse_snapshot
from tests.support.command_line import Home

CSV = """id,at,city,population,area,founded,zip,note
1,2024-01-01T00:00:00Z,Ålesund,54000,98.5,1848-01-01,06003,
2,2024-01-02T00:00:00Z,"Oslo, N",700000,454,1048-05-01,00150,"say ""hi"": #1"
"""
NDJSON = '{"n": 1, "tags": ["a"], "x": 0.5}\n{"n": 1, "tags": [], "x": null}\n'
GEOJSON = """{"type": "FeatureCollection", "features": [
  {"type": "Feature", "properties": {"name": "A"}, "geometry": {"type": "Point", "coordinates": [1, 2]}},
  {"type": "Feature", "properties": {"name": "B"}, "geometry": null}
]}"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def filled(home: Home, sample: str, content: str | bytes) -> list[dict[str, Any]]:
    """The rows of a dataset whose manifest was made from a sample, untouched."""
    home.write(sample, content)
    home.ok("new", "made", "--from", sample)
    home.ok("add", "made.yaml")
    home.ok("pull", "made")
    rows: list[dict[str, Any]] = home.json("sql", "select * from made")
    return rows


def test_a_csv_file_becomes_a_dataset(home: Home) -> None:
    rows = filled(home, "cities of 2024.csv", CSV)

    text = (home.path / "made.yaml").read_text()
    snapshot = parse_snapshot(text)
    assert [line.strip("- ") for line in text.splitlines() if line.startswith("      - ")] == [
        "id BIGINT",
        "at TIMESTAMP",
        "city STRING",
        "population BIGINT",
        "area DOUBLE",
        "founded DATE",
        "zip STRING",
        "note STRING",
        "id",
    ]
    assert "kind: Snapshot" in text
    assert "eventTimeColumn: at" in text
    assert str(snapshot.name) == "made"
    assert [(row["city"], row["population"], row["zip"]) for row in sorted(rows, key=lambda row: row["id"])] == [
        ("Ålesund", 54000, "06003"),
        ("Oslo, N", 700000, "00150"),
    ]
    assert {row["at"] for row in rows} == {"2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("sample", "content", "column", "values"),
    [
        ("a.ndjson", NDJSON, "n", [1, 1]),
        ("a.json", "[" + NDJSON.strip().replace("\n", ",") + "]", "n", [1, 1]),
        ("a.geojson", GEOJSON, "name", ["A", "B"]),
        ("a.parquet", parquet(n=[1, 2], s=["a", "b"]), "n", [1, 2]),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0), "id", [1, 2]),
        # A time of packing whose bytes look like separators.
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=int.from_bytes(b";;;;")), "id", [1, 2]),
        ("a.csv.gz", gzip.compress(CSV.replace('"Oslo, N"', "Oslo").replace(",", "|").encode(), mtime=0), "id", [1, 2]),
        ("a.csv", "a;b\n1;x\n2;y,z\n", "b", ["x", "y,z"]),
        ("a.csv", "a b,select,x:y #1,\n1,2,3,4\n", "a b", [1]),
        ("a.csv", "op,offset,system_time,event_time\nx,1,2,3\n", "op", ["x"]),
        ("a.csv", "day,n\n2024-01-01,1\n,2\n", "n", [1, 2]),
        ("a.csv", "empty,n\n,1\n,2\n", "n", [1, 2]),
        ("a.csv", "at,n\n2024-01-01T00:00:00.123456Z,1\n", "at", ["2024-01-01T00:00:00.123456Z"]),
        ("a.csv", "n\n1\n1\n", "n", [1, 1]),
        ("a.parquet", parquet(n=[1], deep=[{"a": 1}]), "deep", [{"a": 1}]),
        ("a.parquet", parquet(at=pa.array([1], pa.timestamp("us")), n=[1]), "n", [1]),
    ],
)
def test_any_sample_becomes_a_dataset(
    home: Home, sample: str, content: str | bytes, column: str, values: list[Any]
) -> None:
    rows = filled(home, sample, content)

    assert sorted(str(row[column]) for row in rows) == sorted(map(str, values))


def test_what_ddl_cannot_say_is_left_to_the_file(home: Home) -> None:
    filled(home, "a.parquet", parquet(n=[1], deep=[{"a": 1}]))

    text = (home.path / "made.yaml").read_text()
    assert "ddlSchema" not in text
    assert "no word of SQL says the type of deep" in text


def test_a_root_without_a_sample_takes_pushes(home: Home) -> None:
    told = home.ok("new", "kamu/cities")

    assert told == "Written: cities.yaml; look into it, then `kamu-node add cities.yaml`\n"
    home.ok("add", "cities.yaml")
    row = b'{"event_time": "2024-01-01T00:00:00Z", "city": "Oslo", "population": 700000}\n'
    assert home.ok("ingest", "cities", "--stdin", stdin=row) == "standard input: 1 record(s)\n"


def test_a_derivative_begins_with_the_columns_of_its_input(home: Home) -> None:
    filled(home, "cities.csv", CSV)

    home.ok("new", "kamu/made.copy", "--derivative", "--input", "made")
    home.ok("add", "made.copy.yaml")
    home.ok("pull", "made.copy")

    rows = home.json("sql", 'select city, event_time from "made.copy" order by id')
    assert rows[0] == {"city": "Ålesund", "event_time": "2024-01-01T00:00:00Z"}


def test_a_derivative_without_an_input_says_where_it_goes(home: Home) -> None:
    text = home.ok("new", "x", "--derivative", "--stdout")

    assert parse_snapshot(text).kind.value == "Derivative"
    assert home.refusal("add", "--stdin", stdin=text.encode()).startswith(
        "standard input: x: referencing non-existing inputs: name.of.an.input"
    )


def test_nothing_is_overwritten(home: Home) -> None:
    home.ok("new", "x")

    assert home.refusal("new", "x") == "x.yaml is already there; --overwrite replaces it"

    home.ok("new", "x", "--derivative", "--overwrite")
    assert "Derivative" in (home.path / "x.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("x", "--from", "nope.csv"), "nope.csv is not a file"),
        (("x", "--from", "https://example.com/a.csv"), "--from takes a file to look into, not an address"),
        (("x", "--from", "a.txt"), "a.txt: unknown ending; known are .csv"),
        (("x", "--from", "empty.csv"), "empty.csv: nothing to guess from, the sample is empty"),
        (("x", "--from", "bad.ndjson"), "bad.ndjson, line 2: the file ends"),
        (("a b",), "a b"),
    ],
)
def test_samples_that_tell_nothing_are_refused(home: Home, arguments: tuple[str, ...], told: str) -> None:
    home.write("a.txt", "a")
    home.write("empty.csv", "")
    home.write("bad.ndjson", "{\n")

    assert told in home.refusal("new", *arguments)
    assert not (home.path / "x.yaml").exists()


@pytest.mark.parametrize(
    "arguments", [("x", "--root", "--derivative"), ("x", "--derivative", "--from", "a.csv"), ("x", "-i", "y")]
)
def test_what_makes_no_sense_is_told(home: Home, arguments: tuple[str, ...]) -> None:
    assert home.run("new", *arguments).code == 2
