"""What was altered behind the node's back is computed no further (trial DS-16)."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.command_line import Home
from tests.support.stories import derivative, pushed_root, records


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A root whose slice can be read, and holds other numbers than were committed."""
    home = Home(tmp_path_factory.mktemp("tampered"))
    home.ok("add", "--stdin", stdin=pushed_root("counted").encode())
    home.ok("add", "--stdin", stdin=derivative("more", of="counted").encode())
    home.ok("ingest", "counted", "--stdin", stdin=records([1, 2, 3]).encode())
    rows = pq.read_table(slice_of(home))
    doubled = rows.set_column(rows.schema.get_field_index("n"), rows.schema.field("n"), pc.multiply(rows["n"], 2))
    slice_of(home).chmod(0o644)
    pq.write_table(doubled, slice_of(home))
    return home


def slice_of(home: Home) -> Path:
    (path,) = home.path.glob("home/datasets/*/data/*")
    return path


def test_its_check_is_red(home: Home) -> None:
    done = home.run("verify", "counted", "--json")

    assert (done.code, json.loads(done.out)[0]["result"]) == (1, "invalid")


def test_what_reads_it_is_not_computed_and_points_to_the_check(home: Home) -> None:
    before = home.json("log", "more")

    told = home.refusal("pull", "more")

    damaged = f"data slice {slice_of(home).name} of kamu/counted is damaged"
    assert told == f"kamu/more: {damaged}: `kamu-node verify kamu/counted` says what is left of it"
    assert home.json("log", "more") == before
