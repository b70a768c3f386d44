"""`kamu-node inspect`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.odf.ddl import parse_ddl
from tests.support.browser import a_page
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home
from tests.support.manifests import APPEND, a_manifest, derivative, reading, transform

ALL = ["kamu/clean", "kamu/daily", "kamu/other", "kamu/raw", "kamu/weekly"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that stays as it is: lineage, and data in raw and clean."""
    home = home_with_lineage(tmp_path_factory.mktemp("inspected"))
    home.ok("add", home.write("both.yaml", derivative("both", "select 1", "daily", "weekly", "raw", alias=None)))
    home.ok("ingest", "raw", home.write("rows.ndjson", '{"id": 1, "name": "a"}\n'))
    home.ok("pull", "clean")
    return home


def test_lineage_is_a_tree_of_inputs(home: Home) -> None:
    assert home.ok("inspect", "lineage", "both").splitlines() == [
        "kamu/both (Derivative)",
        "├── kamu/daily (Derivative)",
        "│   └── kamu/clean (Derivative)",
        "│       └── kamu/raw (Root)",
        "├── kamu/weekly (Derivative)",
        "│   └── kamu/clean (Derivative) …",
        "└── kamu/raw (Root)",
    ]
    assert home.ok("inspect", "lineage", "raw", "-o", "shell") == "kamu/raw (Root)\n"


def test_lineage_of_everything_begins_with_what_nobody_reads(home: Home) -> None:
    lines = home.ok("inspect", "lineage").splitlines()

    assert [line for line in lines if not line.startswith(("├", "└", "│", " "))] == [
        "kamu/both (Derivative)",
        "kamu/other (Root)",
    ]
    rows = home.json("inspect", "lineage")
    assert sorted(row["dataset"] for row in rows) == [*["kamu/both"], *ALL]
    order = [row["dataset"] for row in rows]
    assert all(order.index(each["dataset"]) < order.index(row["dataset"]) for row in rows for each in row["inputs"])
    [raw] = [row for row in rows if row["dataset"] == "kamu/raw"]
    assert (raw["inputs"], set(raw["dependents"])) == ([], {"kamu/both", "kamu/clean"})


def test_lineage_in_mermaid(home: Home) -> None:
    text = home.ok("inspect", "lineage", "%ly", "-o", "mermaid")

    assert text.startswith("flowchart LR\n")
    names = dict(re.findall(r'^  (n\d+)\W+"(.*?)"', text, re.MULTILINE))
    assert sorted(names.values()) == ["kamu/clean", "kamu/daily", "kamu/raw", "kamu/weekly"]
    arrows = {(names[start], names[end]) for start, end in re.findall(r"(n\d+) --> (n\d+)", text)}
    assert arrows == {
        ("kamu/raw", "kamu/clean"),
        ("kamu/clean", "kamu/daily"),
        ("kamu/clean", "kamu/weekly"),
    }


def test_lineage_is_a_page_that_a_browser_draws_without_a_network(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "lineage.html"
    path.write_text(home.ok("inspect", "lineage", "--output-format", "html"))
    said, asked = [], []

    with a_page() as page:
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        boxes = {each.locator("text").first.text_content(): each.bounding_box() for each in page.locator("svg g").all()}
        arrows = page.locator("path[data-from]").count()
        page.locator("g", has_text="kamu/weekly").hover()
        near = page.locator("g.near").all()
        shown = {each.locator("text").first.text_content() for each in near}

    assert (said, asked) == ([], [path.as_uri()])
    assert sorted(map(str, boxes)) == [*["kamu/both"], *ALL]
    assert arrows == 6
    places = {name: box for name, box in boxes.items() if box is not None and box["width"] > 100}
    assert len(places) == 6
    assert len({(box["x"], box["y"]) for box in places.values()}) == 6
    lefts = [places[name]["x"] for name in ("kamu/raw", "kamu/clean", "kamu/daily", "kamu/both")]
    assert lefts == sorted(set(lefts))
    assert shown == {"kamu/raw", "kamu/clean", "kamu/weekly", "kamu/both"}


def test_an_input_of_another_node_is_told_by_its_identity(home: Home, tmp_path: Path) -> None:
    [clean] = home.json("show", "clean")
    other = Home(tmp_path)
    other.ok("adopt", clean["location"], "--skip-rows")

    assert other.ok("inspect", "lineage", "clean").splitlines() == [
        "kamu/clean (Derivative)",
        f"└── {clean['inputs'][0]['ref']} (not on this node)",
    ]
    assert other.json("inspect", "lineage")[0]["inputs"] == [{"id": clean["inputs"][0]["ref"], "dataset": None}]
    assert clean["inputs"][0]["ref"] in other.ok("inspect", "lineage", "-o", "html")


def test_no_datasets_have_no_lineage(tmp_path: Path) -> None:
    done = Home(tmp_path).run("inspect", "lineage")

    assert (done.code, done.out) == (0, "")
    assert done.told.startswith("(no datasets; ")
    assert Home(tmp_path).json("inspect", "lineage") == []


def test_queries_are_told_step_by_step(home: Home) -> None:
    steps = "queries: [{alias: big, query: select * from raw where id > 9;}, {query: 'select event_time, id from big'}]"
    parts = transform("select 1", "raw").replace('query: "select 1"', steps)
    home.ok("add", home.write("steps.yaml", a_manifest("steps", "Derivative", parts)))

    told = home.ok("inspect", "query", "steps").splitlines()

    raw = {row["name"]: row["id"] for row in home.json("list")}["raw"]
    assert told == [
        "-- transform, engine datafusion",
        f"-- input raw: kamu/raw ({raw})",
        "",
        "-- step 1 of 2: big",
        "select * from raw where id > 9;",
        "",
        "-- step 2 of 2: the output",
        "select event_time, id from big;",
        "",
    ]
    [facts] = home.json("inspect", "query", "steps")
    assert [step["alias"] for step in facts["queries"]] == ["big", None]
    assert facts["inputs"] == [{"alias": "raw", "dataset": "kamu/raw", "id": raw}]
    home.ok("delete", "steps", "--yes")


def test_sources_may_have_queries_too(home: Home) -> None:
    does = "{kind: Sql, engine: datafusion, query: select id from input}"
    source = f"{{kind: AddPushSource, sourceName: a, read: {reading('id INT')}, preprocess: {does}, merge: {APPEND}}}"
    home.ok("add", home.write("prepared.yaml", a_manifest("prepared", "Root", source)))

    assert home.ok("inspect", "query", "prepared").startswith("-- push source a, engine datafusion\n\n-- step 1 of 1:")
    home.ok("delete", "prepared", "--yes")
    done = home.run("inspect", "query", "raw")
    assert (done.code, done.out) == (0, "")
    assert done.told == "(kamu/raw has no query: it keeps what its source reads)\n"


def test_a_schema_is_what_a_manifest_could_say(home: Home) -> None:
    ddl = home.ok("inspect", "schema", "raw")

    assert ddl.splitlines()[-3:] == ["event_time TIMESTAMP(3) NOT NULL,", "id INT,", "name STRING"]
    document = home.json("inspect", "schema", "raw")
    assert document == json.loads(home.ok("inspect", "schema", "raw", "-o", "odf-json"))
    said = {field["name"]: field["type"] for field in document["fields"]}
    again = parse_ddl(ddl.split(",\n"))
    assert again.fields[-2:] == parse_ddl(["id INT", "name STRING"]).fields
    assert said["id"] == {"kind": "Option", "inner": {"kind": "Int32"}}


@pytest.mark.parametrize(
    ("form", "told"),
    [("arrow-json", '"data_type": "Int32"'), ("odf-yaml", "name: id"), ("parquet", "INT32 id;"), ("parquet-json", "{")],
)
def test_a_schema_is_told_in_the_words_of_others(home: Home, form: str, told: str) -> None:
    text = home.ok("inspect", "schema", "raw", "-o", form)

    assert told in text
    if form.endswith("json"):
        assert [field["name"] for field in json.loads(text)["fields"]][-2:] == ["id", "name"]


def test_a_schema_that_is_not_known_yet(home: Home) -> None:
    done = home.run("inspect", "schema", "other")

    assert (done.code, done.out, done.told) == (0, "", "(kamu/other has no columns before its first data)\n")
    assert home.json("inspect", "schema", "other") is None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("lineage", "nope"), 1, "dataset nope does not exist"),
        (("lineage", "-o", "png"), 2, "'text'"),
        (("schema", "raw", "-o", "xml"), 2, "'odf-json'"),
        (("schema",), 2, "Missing argument"),
        (("query", "nope"), 1, "`kamu-node list` shows"),
    ],
)
def test_what_cannot_be_inspected_is_told(home: Home, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = home.run("inspect", *arguments)

    assert (done.code, told in done.told) == (code, True), done


def test_every_type_has_a_definition() -> None:
    from kamu_assets.odf.arrow_schema import from_arrow
    from kamu_assets.odf.ddl_text import ddl_columns

    struct = pa.struct([pa.field("x y", pa.int8()), pa.field("z", pa.list_(pa.float16()))])
    columns = {
        "a": (pa.map_(pa.string(), pa.uint16()), "a MAP<STRING, SMALLINT UNSIGNED>"),
        "b": (struct, 'b STRUCT<"x y" TINYINT, z ARRAY<HALF>>'),
        "c": (pa.time64("us"), "c TIME(6)"),
        "d": (pa.duration("s"), "d INTERVAL(0)"),
        "e": (pa.timestamp("ns", tz="Europe/Oslo"), "e TIMESTAMP(9) WITH TIME ZONE 'Europe/Oslo'"),
        "f": (pa.decimal128(10, 2), "f DECIMAL(10, 2)"),
        "g": (pa.binary(), "g BINARY"),
    }

    schema = from_arrow(pa.schema([pa.field(name, kind) for name, (kind, _) in columns.items()]))

    assert ddl_columns(schema) == [text for _, text in columns.values()]
