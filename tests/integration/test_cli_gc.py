"""`kamu-node gc`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The root had two slices, which are one now."""
    home = home_with_lineage(tmp_path)
    for number in (1, 2):
        home.ok("ingest", "raw", home.write("rows.ndjson", f'{{"id": {number}, "name": "a"}}\n'))
    home.ok("compact", "raw", "--yes")
    return home


def test_what_compaction_left_is_kept_for_a_while(home: Home) -> None:
    done = home.run("gc", "--all", "--yes")

    assert done.code == 0
    assert done.out.splitlines()[-1] == "kamu/weekly: nothing to remove"
    assert "kamu/raw: nothing to remove" in done.out
    assert "kamu/raw: 6 file(s)" in done.told
    assert "kept for the grace time" in done.told


def test_it_goes_when_the_grace_time_is_over(home: Home) -> None:
    (told,) = home.json("gc", "raw", "--grace", "0s", "--dry-run")
    (row,) = home.json("gc", "raw", "--grace", "0s", "--yes")

    assert told["result"] == "would-collect"
    assert row == {**told, "result": "collected"}
    assert (row["files"], row["keptFiles"], row["foreign"]) == (6, 0, [])
    assert [each["id"] for each in home.json("tail", "raw")] == [1, 2]
    assert home.json("verify", "raw")[0]["result"] == "valid"
    assert home.json("doctor", "--dry-run") == []
    assert home.ok("gc", "raw", "--grace", "0s", "--yes") == "kamu/raw: nothing to remove\n"


def test_what_makes_no_sense_is_refused(home: Home) -> None:
    assert home.misuse("gc", "--yes") == "name datasets, or use --all"
    assert home.misuse("gc", "raw") == "to collect garbage of 1 dataset(s) needs a yes: add --yes"
    assert "is not an interval" in home.misuse("gc", "raw", "--grace", "soon", "--yes")
