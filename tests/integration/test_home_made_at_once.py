"""Processes that meet in an empty home make it together: one database, one admin, one token, one history."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

from kamu_assets.node import open_node
from kamu_assets.orchestration.home import is_prepared
from kamu_assets.settings import Settings, adapter_config, load_settings
from tests.support.running_node import environment

NODES = 5
_WAIT = "print('here', flush=True); input()\n"
_OPEN = (
    "from kamu_assets.node import open_node\n"
    "from kamu_assets.settings import load_settings\n"
    f"{_WAIT}"
    "with open_node(load_settings()) as node:\n"
    "    print((node.settings.keys_path / 'admin.token').read_text())\n"
)
_PREPARE = (
    "from kamu_assets.orchestration.instance import prepare\n"
    "from kamu_assets.settings import adapter_config, load_settings\n"
    f"{_WAIT}"
    "prepare(adapter_config(load_settings()))\n"
)


def test_a_home_is_made_by_many_at_once(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "home")
    processes = [_waiting(settings, program) for program in (*[_OPEN] * NODES, _PREPARE, _PREPARE)]

    said = _all_at_once(processes)

    assert [process.returncode for process in processes] == [0] * len(processes), said
    with open_node(settings) as node:
        token = (settings.keys_path / "admin.token").read_text(encoding="ascii").strip()
        assert Counter(token in out for out in said) == {True: NODES, False: 2}
        assert node.auth.caller_from_token(token) == node.auth.admin_caller()
    assert _column(settings.home / "node.db", "SELECT name FROM accounts") == ["kamu"]
    assert len(_column(settings.home / "node.db", "SELECT id FROM access_tokens")) == 1
    assert is_prepared(adapter_config(settings))
    assert _column(settings.dagster_home / "history" / "runs.db", "SELECT count(*) FROM runs") == [0]


def _waiting(settings: Settings, program: str) -> subprocess.Popen[str]:
    """A process that has loaded all it needs."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**environment(), "KAMU_NODE_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def _all_at_once(processes: list[subprocess.Popen[str]]) -> list[str]:
    for process in processes:
        assert process.stdin is not None
        os.write(process.stdin.fileno(), b"\n")
    return [process.communicate(timeout=120)[0] for process in processes]


def _column(path: Path, sql: str) -> list[object]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute(sql)]
    finally:
        connection.close()
