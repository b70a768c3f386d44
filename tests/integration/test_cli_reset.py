"""`kamu-node reset`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The root has two slices, of which one derivative has read both."""
    home = home_with_lineage(tmp_path)
    for number in (1, 2):
        home.ok("ingest", "raw", home.write("rows.ndjson", f'{{"id": {number}, "name": "a"}}\n'))
    home.ok("pull", "clean")
    return home


def blocks(home: Home, name: str) -> list[str]:
    """Hashes, the oldest first."""
    return [row["blockHash"] for row in home.json("log", name)][::-1]


def test_a_block_becomes_the_head_again(home: Home) -> None:
    before = blocks(home, "raw")

    row = home.json("reset", "raw", before[-2], "--yes")

    assert row == {
        "dataset": "kamu/raw",
        "result": "reset",
        "oldHead": before[-1],
        "newHead": before[-2],
        "originalBlocks": len(before),
        "resultingBlocks": len(before) - 1,
    }
    assert blocks(home, "raw") == before[:-1]
    assert [row["id"] for row in home.json("tail", "raw")] == [1]
    assert home.json("verify", "raw")[0]["result"] == "valid"


def test_derivatives_refuse_until_they_are_reset(home: Home) -> None:
    home.ok("reset", "raw", blocks(home, "raw")[-2], "--yes")

    assert "Invalid block interval" in home.run("pull", "clean").told
    home.ok("reset", "clean", blocks(home, "clean")[1], "--yes")

    home.ok("pull", "clean")
    assert [row["id"] for row in home.json("tail", "clean")] == [1]
    assert home.json("verify", "clean")[0]["result"] == "valid"


def test_the_head_is_where_it_is_to_go(home: Home) -> None:
    head = blocks(home, "raw")[-1]

    assert home.ok("reset", "raw", head, "-y") == "kamu/raw: nothing to do, that block is its head already\n"
    assert home.json("reset", "raw", head, "-y") == {"dataset": "kamu/raw", "result": "nothing-to-do"}


def test_people_are_told_what_is_left(home: Home) -> None:
    assert home.ok("reset", "raw", "--to-seed", "--yes") == "kamu/raw: reset, 1 of 5 block(s) are left\n"


def test_what_cannot_be_is_refused(home: Home) -> None:
    hashes, elsewhere = blocks(home, "raw"), blocks(home, "clean")[-1]

    assert "is not in the chain of 'kamu/raw'" in home.refusal("reset", "raw", elsewhere, "--yes")
    assert "another commit was first" in home.refusal("reset", "raw", hashes[1], "--old-head", hashes[2], "--yes")
    assert home.misuse("reset", "raw", hashes[1]) == "to reset 1 dataset(s) needs a yes: add --yes"
    assert "BLOCK: " in home.misuse("reset", "raw", "f16", "--yes")
    assert blocks(home, "raw") == hashes


def test_earlier_rows_can_be_asked_for_until_the_reset(home: Home) -> None:
    hashes = blocks(home, "raw")
    home.ok("reset", "raw", hashes[-2], "--yes")

    told = home.refusal("sql", f"select id from as_of('raw', '{hashes[-1]}')")
    assert hashes[-1] in told
