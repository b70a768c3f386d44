"""`kamu-node compact`, and what resets to metadata do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The root has three slices, all of which a derivative has read."""
    home = home_with_lineage(tmp_path)
    for number in (1, 2, 3):
        home.ok("ingest", "raw", home.write("rows.ndjson", f'{{"id": {number}, "name": "a"}}\n'))
    home.ok("pull", "clean")
    return home


def ids(home: Home, name: str) -> list[int]:
    return [row["id"] for row in home.json("sql", f"select id from {name} order by offset")]


def test_rows_stay_and_blocks_get_fewer(home: Home) -> None:
    before = home.json("log", "raw")[0]["blockHash"]

    (row,) = home.json("compact", "raw", "--yes")

    head = home.json("log", "raw")[0]["blockHash"]
    assert row == {
        "dataset": "kamu/raw",
        "result": "compacted",
        "oldHead": before,
        "newHead": head,
        "originalBlocks": 6,
        "resultingBlocks": 4,
    }
    assert ids(home, "raw") == [1, 2, 3]
    assert home.json("verify", "raw")[0]["result"] == "valid"
    assert home.ok("compact", "raw", "--yes") == "kamu/raw: nothing to do\n"


def test_derivatives_are_computed_anew_when_asked(home: Home) -> None:
    assert home.ok("compact", "raw", "-y") == "kamu/raw: 6 block(s) are 4 now\n"
    assert "Invalid block interval" in home.run("pull", "clean").told

    home.ok("pull", "clean", "--reset-derivatives-on-diverged-input")

    assert ids(home, "clean") == [1, 2, 3]
    assert home.json("verify", "clean")[0]["result"] == "valid"


def test_one_that_cannot_be_compacted_stops_no_other(home: Home) -> None:
    done = home.run("compact", "clean", "raw", "--max-slice-records", "2", "--yes")

    assert done.code == 1
    assert "only roots are compacted" in done.told
    assert done.out == "kamu/raw: 6 block(s) are 5 now\n"


def test_what_makes_no_sense_is_refused(home: Home) -> None:
    assert home.misuse("compact", "raw") == "to compact 1 dataset(s) needs a yes: add --yes"
    assert "must be a positive number" in home.refusal("compact", "raw", "--max-slice-size", "0", "--yes")


def test_rows_go_and_metadata_stays(home: Home) -> None:
    assert home.ok("reset", "clean", "--to-metadata", "--yes") == "kamu/clean: reset, 3 of 4 block(s) are left\n"
    assert home.ok("reset", "clean", "--to-metadata", "--yes") == "kamu/clean: nothing to do, it has no rows\n"
    assert home.misuse("reset", "clean", "--to-metadata", "--to-seed", "--yes").startswith("name a block")

    home.ok("pull", "clean")
    # Slices of an input are read in the order of their hashes.
    assert sorted(ids(home, "clean")) == [1, 2, 3]
