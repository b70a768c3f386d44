"""`kamu-node add`: all of a file or nothing of it, and what takes the place of what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Home

ROOT = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
  - kind: AddPushSource
    sourceName: default
    read: {{kind: NdJson, ddlSchema: [n BIGINT]}}
    merge: {{kind: Append}}
"""
DERIVATIVE = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Derivative
  metadata:
  - kind: SetTransform
    inputs: [{{datasetRef: {reads}}}]
    transform: {{kind: Sql, engine: datafusion, query: 'select event_time, n from "{reads}"'}}
"""
MISPLACED = DERIVATIVE.format(name="wrong", reads="one").replace("kind: Derivative", "kind: Root")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def root(name: str) -> str:
    return ROOT.format(name=name)


def derivative(name: str, reads: str) -> str:
    return DERIVATIVE.format(name=name, reads=reads)


def names(home: Home) -> list[str]:
    return [row["name"] for row in home.json("list")]


def test_a_bad_manifest_takes_its_file_along_and_no_other(home: Home) -> None:
    home.write("a.yaml", root("one") + "---" + MISPLACED)
    home.write("b.yaml", derivative("three", "two"))
    home.write("c.yaml", root("two"))
    home.write("d.yaml", derivative("four", "one"))
    home.write("e.yaml", derivative("five", "four"))

    done = home.run("add", "a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml", "nope.yaml")

    assert done.code == 1
    assert done.out.splitlines() == ["Added: two", "Added: three", "Added 2 dataset(s)"]
    nope, a, d, e = done.told.splitlines()
    assert nope == "error: nope.yaml: No such file or directory"
    assert a.startswith("error: a.yaml: wrong: ")
    assert d.startswith("error: d.yaml: four: referencing non-existing inputs: one; add them first")
    assert e.startswith("error: e.yaml: five: referencing non-existing inputs: four; ")
    assert names(home) == ["three", "two"]


def test_what_makes_no_dataset_is_found_before_anything_is_deleted(home: Home) -> None:
    home.ok("add", home.write("a.yaml", root("one")))
    home.write("b.yaml", derivative("one", "one").replace("Derivative", "Root"))
    before = home.json("list")

    assert home.refusal("add", "--replace", "--yes", "b.yaml").startswith("b.yaml: one: ")

    assert home.json("list") == before


def test_a_name_that_is_said_twice_is_told(home: Home) -> None:
    home.write("a.yaml", root("one"))
    home.write("b.yaml", root("kamu/ONE"))
    home.write("c.yaml", root("two") + "---" + root("two"))

    done = home.run("add", "a.yaml", "b.yaml", "c.yaml")

    assert done.told.splitlines() == [
        "error: b.yaml: kamu/ONE is in a.yaml as well; leave one",
        "error: c.yaml: two is twice in it; leave one",
    ]
    assert names(home) == ["one"]


def test_files_in_a_loop_are_told_and_others_are_added(home: Home) -> None:
    home.write("a.yaml", derivative("one", "two"))
    home.write("b.yaml", derivative("two", "one"))
    home.write("c.yaml", root("three"))

    done = home.run("add", "a.yaml", "b.yaml", "c.yaml")

    assert done.code == 1
    assert [line.split(": ")[1] for line in done.told.splitlines()] == ["a.yaml", "b.yaml"]
    assert all("one of them out of the inputs" in line for line in done.told.splitlines())
    assert names(home) == ["three"]


def test_a_folder_is_added_in_the_order_of_its_dependencies(home: Home) -> None:
    home.write("m/a.yaml", derivative("a", "b"))
    home.write("m/b.yaml", derivative("b", "c"))
    home.write("m/c.yaml", root("c"))

    assert home.ok("add", "-r", "m").splitlines() == ["Added: c", "Added: b", "Added: a", "Added 3 dataset(s)"]


def test_what_is_replaced_loses_its_data_and_says_so(home: Home) -> None:
    home.write("a.yaml", root("one") + "---" + derivative("two", "one"))
    home.ok("add", "a.yaml")
    home.ok("ingest", "one", "--stdin", "--input-format", "ndjson", stdin=b'{"n": 1}\n{"n": 2}\n')
    home.ok("pull", "two")
    before = {row["name"]: row["id"] for row in home.json("list")}

    told = home.ok("add", "--replace", "--yes", "a.yaml")

    assert told.splitlines() == [
        "Replaced: one: 2 old record(s) are gone, and what was set for it: triggers, webhooks",
        "Replaced: two: 2 old record(s) are gone, and what was set for it: triggers, webhooks",
        "Added 2 dataset(s)",
    ]
    rows = home.json("list")
    assert [row["records"] for row in rows] == [0, 0]
    assert not {row["id"] for row in rows} & set(before.values())
    home.ok("ingest", "one", "--stdin", "--input-format", "ndjson", stdin=b'{"n": 3}\n')
    home.ok("pull", "two")
    assert home.json("sql", "select n from two") == [{"n": 3}]


def test_what_others_read_is_not_replaced_without_them(home: Home) -> None:
    home.write("a.yaml", root("one"))
    home.ok("add", "a.yaml", home.write("b.yaml", derivative("two", "one")))
    before = home.json("list")

    told = home.refusal("add", "--replace", "--yes", "a.yaml")

    assert told == (
        "one: 'kamu/one' cannot be deleted: it is an input of kamu/two;"
        " give the manifests of these as well, or delete them first"
    )
    assert home.json("list") == before


def test_rows_for_scripts_tell_files_from_datasets(home: Home) -> None:
    home.write("a.yaml", root("one"))

    done = home.run("add", "a.yaml", "https://example.com/b.yaml", "--json")

    assert done.code == 1
    assert '"file": "https://example.com/b.yaml", "result": "failed"' in done.out
    assert '"dataset": "one", "result": "added", "id": "did:odf:fed01' in done.out


def test_nothing_to_add_makes_no_sense(home: Home) -> None:
    done = home.run("add")

    assert (done.code, done.told) == (2, "error: name manifest files, or use --stdin\n")


def test_nothing_is_replaced_without_a_yes(home: Home) -> None:
    home.write("a.yaml", ROOT.format(name="one"))
    home.ok("add", "--replace", "a.yaml")

    unasked = home.run("add", "--replace", "a.yaml")

    assert (unasked.code, unasked.told) == (2, "error: to replace 1 dataset(s) needs a yes: add --yes\n")
    # kamu has it before the command.
    assert home.json("--yes", "add", "--replace", "a.yaml")[0]["result"] == "replaced"


def test_one_manifest_can_be_added_under_another_name(home: Home) -> None:
    home.write("a.yaml", ROOT.format(name="one"))
    home.write("b.yaml", ROOT.format(name="two"))

    assert home.ok("add", "a.yaml", "--name", "other").startswith("Added: other\n")
    assert [row["name"] for row in home.json("ls")] == ["other"]
    done = home.run("add", "a.yaml", "b.yaml", "--name", "third")
    assert (done.code, done.told) == (2, "error: --name is for one manifest, not for 2\n")


def test_a_source_that_can_bring_no_data_is_told_of(home: Home) -> None:
    home.write("a.yaml", ROOT.format(name="one").replace("n BIGINT", "n NUMBER"))

    done = home.run("add", "a.yaml")

    assert (done.code, "Added: one" in done.out) == (0, True)
    assert "warning: one: schema of the NdJson reader: column `n`" in done.told
    assert "until that is corrected its source brings no data" in done.told
