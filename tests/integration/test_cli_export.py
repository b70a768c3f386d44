"""`kamu-node export` and answers in files: whole under their name, or not there at all."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.command_line import Home
from tests.support.waiting import wait_until

MANIFEST = """
kind: DatasetSnapshot
version: 1
content:
  name: numbers
  kind: Root
  metadata:
  - kind: AddPushSource
    sourceName: default
    read: {kind: NdJson, ddlSchema: [n BIGINT, word STRING]}
    merge: {kind: Append}
"""


@pytest.fixture
def home(filled: Home, tmp_path: Path) -> Home:
    """A folder of one's own, with the node that all tests share."""
    (tmp_path / "home").symlink_to(filled.path / "home")
    return Home(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A dataset of two slices with a hundred rows each."""
    home = Home(tmp_path_factory.mktemp("export"))
    home.ok("add", "--stdin", stdin=MANIFEST.encode())
    for start in (0, 100):
        rows = "".join(f'{{"n": {n}, "word": "w{n}"}}\n' for n in range(start, start + 100))
        home.ok("ingest", "numbers", "--stdin", stdin=rows.encode())
    return home


def left(home: Home) -> list[str]:
    return sorted(path.name for path in home.path.iterdir() if path.name != "home")


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def test_a_dataset_becomes_a_file_in_the_order_of_its_records(home: Home) -> None:
    told = home.ok("export", "numbers")

    assert told.startswith("numbers.parquet: 200 record(s), ")
    table = pq.read_table(home.path / "numbers.parquet")
    assert table.column_names == ["offset", "op", "system_time", "event_time", "n", "word"]
    assert table["offset"].to_pylist() == table["n"].to_pylist() == list(range(200))
    assert left(home) == ["numbers.parquet"]


def test_a_query_becomes_a_file(home: Home) -> None:
    row = home.json(
        *("export", "--query", "select n, word from numbers where n >= 198 order by n"),
        *("--output-format", "csv", "--output-path", "out.csv"),
    )

    assert row == {"path": "out.csv", "format": "csv", "records": 2, "bytes": 29, "files": 1}
    assert (home.path / "out.csv").read_text() == 'n,word\n198,"w198"\n199,"w199"\n'


def test_files_have_so_many_records_each(home: Home) -> None:
    told = home.ok("export", "numbers", "-o", "ndjson", "--output-path", "out", "--records-per-file", "80")

    assert told.startswith("out: 200 record(s), ")
    assert told.endswith(" in 3 files\n")
    parts = sorted((home.path / "out").iterdir())
    assert [len(numbers(part)) for part in parts] == [80, 80, 40]
    assert [n for part in parts for n in numbers(part)] == list(range(200))


def test_nothing_is_overwritten_unless_that_is_wanted(home: Home) -> None:
    home.write("out.csv", "mine")

    refused = home.refusal("export", "numbers", "-o", "csv", "--output-path", "out.csv")

    assert refused == "out.csv is already there; --overwrite replaces it"
    assert (home.path / "out.csv").read_text() == "mine"
    home.ok("export", "numbers", "-o", "csv", "--output-path", "out.csv", "--overwrite")
    assert (home.path / "out.csv").read_text().count("\n") == 201


def test_nothing_is_left_of_an_export_that_fails(home: Home) -> None:
    query = "select 1 / (150 - n) as x from numbers order by n"

    assert "ivide by zero" in home.refusal("export", "--query", query, "-o", "csv", "--output-path", "out.csv")

    assert left(home) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nope",), "dataset nope does not exist"),
        (("numbers", "--output-path", "no/folder.csv"), "no is no folder: make it first"),
        (("numbers", "--output-path", "home"), "home is a folder; name a file in it"),
        (("numbers", "--records-per-file", "5", "--output-path", "home", "--overwrite"), "which no export has made"),
        (("--query", "drop table numbers", "--output-path", "a"), "statement not allowed: Drop"),
        (("--query", "select * from nope", "--output-path", "a"), "`kamu-node list` shows what there is"),
    ],
)
def test_refusals_are_one_line(home: Home, arguments: tuple[str, ...], told: str) -> None:
    assert told in home.refusal("export", *arguments)
    assert left(home) == []


def test_a_dataset_without_data_is_told(home: Home) -> None:
    home.ok("add", "--stdin", stdin=MANIFEST.replace("numbers", "empty").encode())

    assert home.refusal("export", "empty").startswith("kamu/empty has no data yet; ")


@pytest.mark.parametrize(
    "arguments", [(), ("numbers", "--query", "select 1"), ("--query", "select 1"), ("numbers", "-o", "xml")]
)
def test_what_makes_no_sense_is_told(home: Home, arguments: tuple[str, ...]) -> None:
    assert home.run("export", *arguments).code == 2


def test_more_rows_than_an_answer_may_have_go_to_a_file(home: Home) -> None:
    rows = 300_000
    query = f"select value as n, repeat('x', 500) as filler from generate_series(1, {rows})"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    home.ok("sql", query, "-o", "ndjson", "--output-path", "out.ndjson")

    path = home.path / "out.ndjson"
    assert path.stat().st_size > 150_000_000
    with path.open() as file:
        assert sum(1 for _ in file) == rows
    # They never come into this process.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson", "json", "json-soa", "json-aoa", "markdown", "table"])
def test_answers_go_to_a_file_in_every_format(home: Home, form: str) -> None:
    told = home.ok("sql", "select n, word from numbers order by n limit 2", "-o", form, "--output-path", "answer")

    assert told == "answer: 2 record(s)\n"
    content = (home.path / "answer").read_bytes()
    if form == "parquet":
        assert pq.read_table(home.path / "answer").to_pylist() == [{"n": 0, "word": "w0"}, {"n": 1, "word": "w1"}]
        return
    assert (
        content.decode().rstrip("\n")
        == {
            "csv": 'n,word\n0,"w0"\n1,"w1"',
            "ndjson": '{"n":0,"word":"w0"}\n{"n":1,"word":"w1"}',
            "json": '[{"n": 0, "word": "w0"}, {"n": 1, "word": "w1"}]',
            "json-soa": '{"n": [0, 1], "word": ["w0", "w1"]}',
            "json-aoa": '[[0, "w0"], [1, "w1"]]',
            "markdown": "| n | word |\n| --- | --- |\n| 0 | w0 |\n| 1 | w1 |",
            "table": content.decode().rstrip("\n"),
        }[form]
    )
    assert left(home) == ["answer"]


def test_json_is_one_array(home: Home) -> None:
    facts = home.json("export", "numbers", "-o", "json")
    home.ok("export", "--query", "select n from numbers where n < 0", "-o", "json", "--output-path", "none.json")

    path = home.path / "numbers.json"
    assert [row["n"] for row in json.loads(path.read_text())] == list(range(200))
    assert (facts["bytes"], facts["files"], facts["format"]) == (path.stat().st_size, 1, "json")
    assert json.loads((home.path / "none.json").read_text()) == []
    home.ok("export", "numbers", "-o", "json", "--records-per-file", "150", "--output-path", "parts")
    parts = sorted((home.path / "parts").iterdir())
    assert [len(json.loads(part.read_text())) for part in parts] == [150, 50]


@pytest.mark.parametrize("by", ["any command", "an export to that folder"])
def test_what_a_killed_export_leaves_is_swept(home: Home, by: str) -> None:
    folder = home.path / by.replace(" ", "-")
    folder.mkdir()
    endless = "select value as n from generate_series(1, 100000000000)"
    export = subprocess.Popen(
        [sys.executable, "-m", "kamu_api.cli.main", "export", "--query", endless, "--output-path", str(folder / "a")],
        env={**os.environ, "KAMU_NODE_HOME": str(home.path / "home")},
        start_new_session=True,
    )
    wait_until(lambda: any(folder.glob(".kamu-node-pending-*/parts/*")))
    export.kill()
    export.wait()
    if by != "any command":
        shutil.rmtree(home.path / "home" / "run" / "unfinished")

    home.ok("export", "numbers", "--output-path", str(folder / "b")) if by != "any command" else home.ok("list")

    assert [path.name for path in folder.iterdir()] == ([] if by == "any command" else ["b"])
    assert not list((home.path / "home" / "run").glob("unfinished/*"))
