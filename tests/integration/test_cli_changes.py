"""`kamu-node delete` and `rename`."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.cli_lineage import home_with_lineage, names
from tests.support.command_line import PROGRAM, Home

ALL = ["clean", "daily", "other", "raw", "weekly"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_with_lineage(tmp_path)


def test_what_others_read_is_kept_and_they_are_named(home: Home) -> None:  # KD-14
    told = home.refusal("delete", "raw", "--yes")

    assert told == (
        "'kamu/raw' cannot be deleted: it is an input of kamu/clean; "
        "delete those first, or with --recursive together with it"
    )
    assert "it is an input of kamu/daily, kamu/weekly" in home.refusal("delete", "raw", "clean", "--yes")
    assert names(home) == ALL


def test_datasets_named_together_go_readers_first(home: Home) -> None:  # KD-14
    told = home.ok("delete", "raw", "clean", "weekly", "daily", "-y").splitlines()

    assert sorted(told[:2]) == ["Deleted: kamu/daily", "Deleted: kamu/weekly"]
    assert told[2:] == ["Deleted: kamu/clean", "Deleted: kamu/raw", "Deleted 4 dataset(s)"]
    assert names(home) == ["other"]
    assert len(list((home.path / "home/datasets").glob("fed*"))) == 1


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (("raw", "--recursive"), ["other"]),
        (("clean", "-r"), ["other", "raw"]),
        (("%",), []),
        (("kamu/%ly",), ["clean", "other", "raw"]),
        (("--all",), []),
    ],
    ids=" ".join,
)
def test_patterns_and_dependents(home: Home, arguments: tuple[str, ...], kept: list[str]) -> None:  # KD-14
    rows = home.json("delete", *arguments, "--yes")

    assert names(home) == kept
    assert sorted(row["dataset"] for row in rows) == [f"kamu/{name}" for name in ALL if name not in kept]
    assert {row["result"] for row in rows} == {"deleted"}


@pytest.mark.parametrize("arguments", [("raw", "nope"), ("raw", "nope%"), ("raw", "p_a")], ids=" ".join)
def test_one_unknown_name_keeps_everything(home: Home, arguments: tuple[str, ...]) -> None:
    told = home.refusal("delete", *arguments, "--recursive", "--yes")

    assert "`kamu-node list` shows" in told or "is not a valid" in told
    assert names(home) == ALL


def test_nothing_goes_without_a_yes(home: Home) -> None:
    unasked = home.run("delete", "other")

    assert (unasked.code, unasked.told) == (2, "error: to delete 1 dataset(s) needs a yes: add --yes\n")
    assert home.run("delete").code == home.run("delete", "other", "--all").code == 2
    assert names(home) == ALL


@pytest.mark.parametrize(("answer", "code", "kept"), [("n", 1, ALL), ("y", 0, ["clean", "daily", "raw", "weekly"])])
def test_people_are_shown_what_goes_and_asked(home: Home, answer: str, code: int, kept: list[str]) -> None:
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [*PROGRAM, "delete", "other"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "KAMU_NODE_HOME": str(home.path / "home")},
        text=True,
    )
    os.write(ours, f"{answer}\n".encode())
    out, told = asked.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)

    assert asked.returncode == code, told
    assert out == ("" if answer == "n" else "Deleted: kamu/other\nDeleted 1 dataset(s)\n")
    assert told.startswith("kamu/other (Root)\n")
    assert "Delete 1 dataset(s) for good? [y/N]" in told
    assert ("nothing was deleted" in told) is (answer == "n")
    assert names(home) == kept


def test_another_name_leaves_readers_their_input(home: Home) -> None:
    before = {row["name"]: row["id"] for row in home.json("list")}

    assert home.ok("rename", "raw", "Rare") == "Renamed: kamu/raw is kamu/Rare now\n"

    after = {row["name"]: row["id"] for row in home.json("list")}
    assert after["Rare"] == before["raw"]
    home.ok("ingest", "rare", home.write("rows.ndjson", '{"id": 1, "name": "a"}\n'))
    home.ok("pull", "clean")
    assert home.json("sql", "select name from clean") == [{"name": "a"}]
    assert "is an input of kamu/clean" in home.refusal("delete", "Rare", "--yes")
    assert home.json("rename", "kamu/Rare", "kamu/raw")["before"] == "kamu/Rare"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("raw", "OTHER"), 1, "a dataset named 'kamu/OTHER' already exists; choose another name"),
        (("raw", "p_a"), 1, "'p_a' is not a valid dataset alias"),
        (("raw", "x%"), 1, "'x%' is not a valid dataset alias"),
        (("raw", "n" * 256), 1, "at most 255 characters, not 256"),
        (("nope", "raw2"), 1, "dataset nope does not exist; `kamu-node list` shows"),
        (("raw", "alice/raw"), 2, "kamu/raw belongs to kamu"),
        (("raw",), 2, "Missing argument"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, tuple) else "",
)
def test_names_that_cannot_be_are_refused(home: Home, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = home.run("rename", *arguments)

    assert (done.code, told in done.told) == (code, True), done
    assert names(home) == ALL
