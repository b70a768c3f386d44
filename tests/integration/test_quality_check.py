"""`kamu-node check`: what datasets promise of their rows in `quality.yaml`, and whether they keep it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Home
from tests.support.manifests import CHANGELOG, a_manifest, push_source, reading

RULES = """
checks:
- {kind: NotNull, columns: [name]}
- {kind: Unique, columns: [id], severity: warn}
- {kind: Range, column: level, min: 0}
- {kind: RowCountChange, min: 1, name: grows}
- {kind: NotNull, columns: [nmae], name: misspelled, severity: warn}
"""


def attachments(text: str) -> str:
    item = json.dumps({"path": "quality.yaml", "content": text})
    return f"{{kind: SetAttachments, attachments: {{kind: Embedded, items: [{item}]}}}}"


def checked_root(name: str, text: str, *, is_changelog: bool = False) -> str:
    columns = ("id INT", "name STRING", "level INT")
    source = push_source("default", reading(*columns))
    if is_changelog:
        source = push_source("default", reading("op INT", *columns), merge=CHANGELOG)
    return a_manifest(name, "Root", source, attachments(text))


def rows(*found: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in found).encode()


def outcomes(answer: list[dict[str, Any]]) -> dict[str, tuple[str, int, list[int]]]:
    return {row["check"]: (row["outcome"], row["failed"], row["offsets"]) for row in answer}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_broken_rules_are_told_with_offsets_and_mended_by_data(home: Home) -> None:
    home.ok("add", "--stdin", stdin=checked_root("cities", RULES, is_changelog=True).encode())
    empty = home.json("check", "cities")
    assert {outcome for outcome, *_ in outcomes(empty).values()} == {"passed"}
    assert empty[-1]["message"] == "No nulls in nmae: there are no rows yet, so its columns are not known"

    first = rows(
        {"op": 0, "id": 1, "name": "a", "level": 1},
        {"op": 0, "id": 2, "name": None, "level": -1},
        {"op": 0, "id": 1, "name": "b", "level": 2},
    )
    home.ok("ingest", "cities", "--stdin", stdin=first)
    done = home.run("check", "cities", "--json")

    assert done.code == 1
    answer = json.loads(done.out)
    assert outcomes(answer) == {
        "not_null_name": ("failed", 1, [2]),
        "unique_id": ("failed", 1, [1]),
        "range_level": ("failed", 1, [2]),
        "grows": ("passed", 0, []),
        "misspelled": ("errored", 0, []),
    }
    assert "no column 'nmae'; there are offset, op" in answer[-1]["message"]
    assert home.run("check", "cities", "--json").out == done.out

    home.ok("ingest", "cities", "--stdin", stdin=rows({"op": 1, "id": 2, "name": None, "level": -1}))
    done = home.run("check", "cities")

    assert done.code == 1
    assert "error: kamu/cities: grows: Rows gained by each commit: at least 1: -1" in done.told
    assert "warning: kamu/cities: unique_id: No two rows with the same id: 1 row(s) repeat another row" in done.told
    assert "not_null_name:" not in done.told


def test_rules_that_are_none_are_told_when_they_are_added_and_fail_ever_after(home: Home) -> None:
    done = home.run("add", "--stdin", stdin=checked_root("cities", "checks: [{kind: Sql}]").encode())

    assert done.code == 0
    assert "warning: cities: quality.yaml: checks[0]" in done.told
    failed = home.run("check", "cities", "--json")
    assert failed.code == 1
    assert [row["check"] for row in json.loads(failed.out)] == ["quality"]


def test_no_commit_hides_behind_later_ones(home: Home) -> None:
    grows = "checks: [{kind: RowCountChange, min: 2, name: grows}]"
    home.ok("add", "--stdin", stdin=checked_root("cities", grows).encode())

    def push(*numbers: int) -> None:
        found = [{"id": number, "name": "a", "level": 1} for number in numbers]
        home.ok("ingest", "cities", "--stdin", stdin=rows(*found))

    def check() -> tuple[str, str, list[int]]:
        (row,) = json.loads(home.run("check", "cities", "--json").out)
        return row["outcome"], row["message"].removeprefix("Rows gained by each commit: at least 2: "), row["offsets"]

    push(1, 2)
    push(3)
    push(4, 5, 6)
    first = ("failed", "+1 to +3; 1 of 3 commits break the rule", [2])
    assert check() == first
    home.ok("compact", "cities", "--yes")
    assert check() == first
    compacted = home.json("log", "cities", "--limit", "1")[0]["blockHash"]
    push(7, 8)
    assert check() == ("passed", "+2", [])

    # What is pushed after a reset has offsets that were judged before, and others in the same commit.
    home.ok("reset", "cities", compacted, "--yes")
    push(9)
    push(10, 11, 12)
    assert check() == ("failed", "+1 to +3; 1 of 2 commits break the rule", [6])


def test_bounds_of_event_times_hold_for_the_rows_of_the_newest_snapshot(home: Home) -> None:
    recent = "checks: [{kind: Range, column: event_time, min: '2024-01-01', name: recent}]"
    snapshot = "{kind: Snapshot, primaryKey: [id]}"
    source = push_source("default", reading("event_time TIMESTAMP", "id INT", "name STRING"), merge=snapshot)
    home.ok("add", "--stdin", stdin=a_manifest("cities", "Root", source, attachments(recent)).encode())
    old, new = ({"event_time": f"{year}-06-01T00:00:00Z", "id": year, "name": "a"} for year in (2023, 2024))

    home.ok("ingest", "cities", "--stdin", stdin=rows(old, new))
    assert outcomes(json.loads(home.run("check", "cities", "--json").out)) == {"recent": ("failed", 1, [0])}
    home.ok("ingest", "cities", "--stdin", stdin=rows(new))
    assert outcomes(home.json("check", "cities")) == {"recent": ("passed", 0, [])}


def test_a_chain_that_was_reset_is_counted_anew(home: Home) -> None:
    home.ok("add", "--stdin", stdin=checked_root("cities", "checks: [{kind: NotNull, columns: [name]}]").encode())
    home.ok("ingest", "cities", "--stdin", stdin=rows({"id": 1, "name": "a", "level": 1}))
    good = home.json("log", "cities")[0]["blockHash"]
    home.ok("ingest", "cities", "--stdin", stdin=rows({"id": 2, "name": None, "level": 1}))
    assert home.run("check", "cities").code == 1

    home.ok("reset", "cities", good, "--yes")

    assert outcomes(home.json("check", "cities")) == {"not_null_name": ("passed", 0, [])}


def test_a_dataset_that_cannot_be_read_keeps_nobody_from_the_others(home: Home) -> None:
    rules = "checks: [{kind: NotNull, columns: [name]}]"
    for name in ("cities", "rivers"):
        home.ok("add", "--stdin", stdin=checked_root(name, rules).encode())
    lost = home.json("log", "cities", "--limit", "1")[0]["blockHash"]
    (block,) = home.path.rglob(f"blocks/{lost}")
    block.unlink()

    done = home.run("check", "cities", "rivers", "--json")

    assert done.code == 1
    broken, fine = json.loads(done.out)
    assert (broken["dataset"], broken["check"], broken["outcome"]) == ("kamu/cities", "quality", "errored")
    assert (fine["dataset"], fine["outcome"]) == ("kamu/rivers", "passed")


def test_who_declares_nothing_is_told_how(home: Home) -> None:
    home.ok("add", "--stdin", stdin=a_manifest("plain", "Root", push_source("default", reading("id INT"))).encode())

    assert "kamu/plain declares no checks" in home.run("check", "plain").told
    assert set(home.json("check", "--schema")["$defs"]) >= {"NotNull", "Unique", "Range", "RowCountChange"}
    assert "name a dataset" in home.misuse("check")
    assert "- {kind: NotNull, columns: [id, name]}" in home.ok("check", "--help")


def test_rules_are_declared_for_a_dataset_that_is_there(home: Home, tmp_path: Path) -> None:
    readme = "{path: README.md, content: about}"
    manifest = a_manifest(
        "cities",
        "Root",
        push_source("default", reading("id INT", "name STRING")),
        f"{{kind: SetAttachments, attachments: {{kind: Embedded, items: [{readme}]}}}}",
    )
    home.ok("add", "--stdin", stdin=manifest.encode())
    home.ok("ingest", "cities", "--stdin", stdin=rows({"id": 1, "name": None}))
    file = tmp_path / "rules.yaml"

    file.write_text("checks: [{kind: NotNil}]")
    assert "NotNil" in home.refusal("check", "cities", "--declare", str(file))
    file.write_text("checks: [{kind: NotNull, columns: [name]}]")
    done = home.run("check", "cities", "--declare", str(file))
    assert (done.code, "kamu/cities declares other rules now" in done.told) == (1, True)
    assert "kamu/cities: not_null_name: " in done.told
    head = home.json("log", "cities", "--limit", "1")
    assert "declares other rules" not in home.run("check", "cities", "--declare", str(file)).told
    assert home.json("log", "cities", "--limit", "1") == head

    text = home.ok("log", "cities", "--limit", "1", "--output-format", "yaml")
    assert text.index("README.md") < text.index("quality.yaml")
