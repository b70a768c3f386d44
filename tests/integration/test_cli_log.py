"""`kamu-node log`."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from kamu_assets.odf.serde.yaml import parse_block
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import PROGRAM, Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three slices in raw: Seed, AddPushSource, SetDataSchema, AddData, AddData, AddData."""
    home = home_with_lineage(tmp_path_factory.mktemp("logged"))
    for number in range(3):
        home.ok("ingest", "raw", "--stdin", "--input-format", "ndjson", stdin=f'{{"id": {number}}}\n'.encode())
    return home


def kinds(home: Home, *arguments: str) -> list[tuple[int, str]]:
    blocks = [row["block"] for row in home.json("log", "raw", *arguments)]
    return [(block["sequenceNumber"], block["event"]["kind"]) for block in blocks]


def test_events_are_chosen_by_their_kind(home: Home) -> None:
    assert kinds(home, "--filter", "AddData") == [(5, "AddData"), (4, "AddData"), (3, "AddData")]
    assert kinds(home, "-f", "seed", "-f", "adddata", "-n", "2") == [(5, "AddData"), (4, "AddData")]
    assert kinds(home, "-f", "Seed, SetDataSchema") == [(2, "SetDataSchema"), (0, "Seed")]
    assert kinds(home, "-f", "SetLicense") == []
    refused = home.run("log", "raw", "--filter", "Data")
    assert refused.code == 2
    assert "no events are of the kind 'Data'; there are AddData, ExecuteTransform, Seed, " in refused.told


def test_a_limit_may_be_larger_than_anything_there_is(home: Home) -> None:
    assert len(kinds(home, "--limit", str(10**20))) == 6


def test_yaml_is_a_stream_of_manifests(home: Home) -> None:
    text = home.ok("log", "raw", "-o", "yaml")

    documents = text.split("---\n")[1:]
    assert len(documents) == 6
    said = {row["blockHash"]: row["block"] for row in home.json("log", "raw")}
    for document, (block_hash, block) in zip(documents, said.items(), strict=True):
        assert document.startswith(f"# block {block_hash}\n")
        assert parse_block(document).sequence_number == block["sequenceNumber"]


def on_a_terminal(home: Home, pager: str, *arguments: str) -> tuple[str, int]:
    """What is seen there, and the exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "KAMU_NODE_HOME": str(home.path / "home"), "PAGER": pager, "TERM": "dumb"}
    program = subprocess.Popen(
        [*PROGRAM, "log", "raw", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 1 << 16)
        except OSError:  # Linux says so when nobody has the other end.
            break
    os.close(ours)
    return seen.decode().replace("\r\n", "\n"), program.wait()


def _pager(folder: Path, script: str) -> str:
    path = folder / "pager"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_people_read_a_page_at_a_time(home: Home, tmp_path: Path) -> None:
    seen, code = on_a_terminal(home, _pager(tmp_path, "sed 's/^/> /'"))

    assert code == 0
    assert seen.startswith("> block: 5\n> hash: f1620")
    assert "> block: 0\n" in seen


def test_a_pager_that_is_closed_early_is_no_failure(home: Home, tmp_path: Path) -> None:
    seen, code = on_a_terminal(home, _pager(tmp_path, "head -n 1"), "-o", "yaml")

    assert (seen, code) == ("---\n", 0)


@pytest.mark.parametrize("pager", ["", "/nobody/has/this", "cat"])
def test_without_a_pager_the_terminal_gets_all(home: Home, pager: str) -> None:
    seen, code = on_a_terminal(home, pager, "-n", "1")

    assert code == 0
    assert seen.startswith("block: 5\n")


def test_pipes_and_scripts_have_no_pager(home: Home, tmp_path: Path) -> None:
    environment = {**os.environ, "KAMU_NODE_HOME": str(home.path / "home"), "PAGER": _pager(tmp_path, "exit 9")}

    out = subprocess.run([*PROGRAM, "log", "raw", "--json"], env=environment, capture_output=True, check=True).stdout

    assert len(json.loads(out)) == 6
