"""Commands that are killed half way: the next one removes what they left, and `doctor` says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.waiting import wait_until
from tests.support.web_source import Route, WebSource, web_source

MANIFEST = """
kind: DatasetSnapshot
version: 1
content:
  name: slow
  kind: Root
  metadata:
  - kind: {source}
    read: {{kind: NdJson, ddlSchema: [n BIGINT]}}
    merge: {{kind: Append}}
"""
ROWS = b'{"n":1}\n' * 1000


@pytest.fixture
def slow() -> Iterator[WebSource]:
    with web_source() as source:
        source.routes["/"] = Route(ROWS, drip_seconds=0.05)
        yield source


def command(
    home: Path, *arguments: str, stdin: int | None = None, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "KAMU_NODE_HOME": str(home), "KAMU_NODE__EGRESS__ALLOW": '["127.0.0.0/8"]'}
    line = [sys.executable, "-m", "kamu_api.cli.main", *arguments]
    return subprocess.Popen(line, env=environment, stdin=stdin, stdout=stdout)


def killed_while_it_works(process: subprocess.Popen[bytes], folder: Path) -> Path:
    """What lies in a folder when the process is killed."""

    def works() -> bool:
        assert process.poll() is None
        return any(path.is_file() for path in folder.rglob("*"))

    wait_until(works)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (found,) = folder.iterdir()
    return found


def findings(home: Path, *arguments: str) -> list[dict[str, object]]:
    done = command(home, "doctor", "--json", *arguments, stdout=subprocess.PIPE)
    out, _ = done.communicate()
    assert done.returncode == 0
    found: list[dict[str, object]] = json.loads(out)
    return found


def a_root(home: Path, source: str) -> Path:
    """A home with a root dataset; tells where its jobs work."""
    with open_node(load_settings(home)) as node:
        node.datasets.create_from_snapshot(node.auth.admin_caller(), MANIFEST.format(source=source))
        return node.volumes.root.staging()


def test_a_killed_pull_is_found_and_cleaned_up_by_the_doctor(tmp_path: Path, slow: WebSource) -> None:
    source = f"SetPollingSource\n    fetch: {{kind: Url, url: {slow.url}/}}"
    staging = a_root(tmp_path, source)
    left = killed_while_it_works(command(tmp_path, "pull", "slow"), staging)

    looked, repaired, again = findings(tmp_path, "--dry-run"), findings(tmp_path), findings(tmp_path)

    assert [found["repaired"] for found in looked + repaired] == [False, True]
    assert {found["kind"] for found in looked + repaired} == {"leftovers"}
    assert left.name in str(repaired[0]["message"])
    assert again == []
    assert list(staging.iterdir()) == []


def test_the_next_start_removes_what_a_killed_pull_left(tmp_path: Path, slow: WebSource) -> None:
    source = f"SetPollingSource\n    fetch: {{kind: Url, url: {slow.url}/}}"
    staging = a_root(tmp_path, source)
    left = killed_while_it_works(command(tmp_path, "pull", "slow"), staging)
    going_on = command(tmp_path, "pull", "slow")

    def went_on() -> bool:
        assert going_on.poll() is None
        return not left.exists() and any(staging.iterdir())

    wait_until(went_on)
    with open_node(load_settings(tmp_path)):
        pass

    # What lives is left alone.
    assert len(list(staging.iterdir())) == 1
    going_on.kill()
    going_on.wait()


def test_the_next_start_removes_what_a_killed_push_left(tmp_path: Path) -> None:
    a_root(tmp_path, "AddPushSource\n    sourceName: default")
    pushing = command(tmp_path, "ingest", "slow", "--stdin", stdin=subprocess.PIPE)
    assert pushing.stdin is not None
    pushing.stdin.write(ROWS * 100)
    pushing.stdin.flush()
    left = killed_while_it_works(pushing, tmp_path / "uploads")
    pushing.stdin.close()

    with open_node(load_settings(tmp_path)):
        pass

    assert not left.exists()
