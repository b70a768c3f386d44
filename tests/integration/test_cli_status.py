"""How a node is that does not run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from kamu_api.cli.node.home_lock import HomeLock
from kamu_assets.database.terms import begin_term
from kamu_assets.flows.model import Binding, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.node import open_node
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.scheduler.leader import ROLE
from kamu_assets.settings import load_settings
from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def a_used_home(home: Home, *, reason: str) -> None:
    """With a dataset whose flow failed, and a consumer that does not go on."""
    with open_node(load_settings(home.path / "home")) as node:
        caller = node.auth.admin_caller()
        entry = node.datasets.create_from_snapshot(caller, pushed_root("cities", reading("id BIGINT")))
        node.flows.request_run(caller, DatasetAlias.parse("cities"))
        node.flows.run_finished(
            "a-run", FlowOutcome(OutcomeKind.FAILED, reason), bindings=[Binding(entry.id, FlowType.INGEST)]
        )
        with node.database.transaction() as tx:
            node.outbox.register(tx, "flows")
            node.outbox.fail(tx, "reporter", reason)


def test_where_no_node_was_nothing_is_made(home: Home) -> None:
    done = home.run("status")

    assert done.code == 1
    assert "does not run; `kamu-node up` starts it" in done.out
    assert "there is no node in" in done.out
    assert not (home.path / "home").exists()


def test_a_node_that_does_not_run_tells_what_it_left(home: Home) -> None:
    a_used_home(home, reason="the source is gone")

    done = home.run("status", "--json")
    found = json.loads(done.out)

    assert done.code == 1
    assert (found["running"], found["ready"], found["pid"], found["processes"]) == (False, False, None, [])
    work = found["work"]
    assert (work["datasets"], work["waiting"], work["running"], work["failed"]) == (1, 1, 0, 1)
    assert [(each["dataset"], each["message"]) for each in work["failures"]] == [("kamu/cities", "the source is gone")]
    assert work["transport"] == {"name": "embedded", "relayed": None, "fault": None}
    consumers = {each["name"]: each for each in work["consumers"]}
    assert consumers["flows"]["pending"] > 0
    assert consumers["flows"]["failures"] == 0
    assert (consumers["reporter"]["failures"], consumers["reporter"]["error"]) == (1, "the source is gone")
    assert found["disks"][0]["freeBytes"] > 0
    assert {"kamu-node", "python", "dagster", "datafusion"} <= found["versions"].keys()


def test_people_are_told_the_same(home: Home) -> None:
    a_used_home(home, reason="the source is gone")

    text = home.run("status").out

    assert "1 dataset(s); flows: 1 waiting, 0 running, 1 failed in 24 h" in text
    assert "kamu/cities: the source is gone" in text
    assert "reporter" in text


def test_the_scheduler_that_leads_is_told(home: Home) -> None:
    a_used_home(home, reason="!")
    assert json.loads(home.run("status", "--json").out)["work"]["leader"] is None

    with open_node(load_settings(home.path / "home")) as node, node.database.leadership(ROLE) as leadership:
        with node.database.transaction() as tx:
            begin_term(tx, ROLE, holder="here:17:4", now=Timestamp.parse("2026-01-02T03:04:05.6Z"))
        led = json.loads(home.run("status", "--json").out)["work"]["leader"]
        assert leadership.take()
        leads = json.loads(home.run("status", "--json").out)["work"]["leader"]
        text = home.run("status").out

    assert leads == {"process": "here:17:4", "since": "2026-01-02T03:04:05.600Z", "term": 1, "leads": True}
    assert led == {**leads, "leads": False}
    assert "Scheduler: here:17:4 (since 2026-01-02 03:04:05, term 1) leads" in text
    assert "Scheduler: none leads; the last was here:17:4 (since" in home.run("status").out


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_reasons_hold_no_secrets(home: Home, arguments: tuple[str, ...]) -> None:
    a_used_home(home, reason="http://me:hunter2@example.org/?api_key=s3cr3t is gone")

    text = home.run("status", *arguments).out

    assert "example.org" in text
    assert "hunter2" not in text
    assert "s3cr3t" not in text


def test_a_redis_that_is_lost_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    a_used_home(home, reason="!")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("KAMU_NODE__OUTBOX__TRANSPORT", "redis")
    monkeypatch.setenv("KAMU_NODE__OUTBOX__REDIS_URL", f"redis://:hunter2@127.0.0.1:{port}/0")

    found = json.loads(home.run("status", "--json").out)["work"]
    text = home.run("status").out

    assert found["transport"]["name"] == "redis"
    assert "Redis unavailable" in found["transport"]["fault"]
    assert len(found["consumers"]) == 2
    assert "Outbox: read from the database only, since Redis unavailable" in text
    assert "hunter2" not in text


def test_a_node_that_runs_and_does_not_answer_is_not_well(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    a_used_home(home, reason="!")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("KAMU_NODE__HTTP__PORT", str(listener.getsockname()[1]))
        listener.close()
        lock = HomeLock(home.path / "home")
        lock.acquire()

        done = home.run("status", "--json")
        os.close(lock._descriptor)

    found = json.loads(done.out)
    assert (done.code, found["running"], found["ready"]) == (1, True, False)
    assert "the API does not answer" in found["reason"]
    assert [each["name"] for each in found["processes"]] == ["supervisor"]
    assert not next(port for port in found["ports"] if port["name"] == "api")["isOpen"]


def test_a_database_that_is_none_is_told(home: Home) -> None:
    a_used_home(home, reason="!")
    for path in (home.path / "home").glob("node.db*"):
        path.unlink()
    (home.path / "home" / "node.db").write_bytes(b"not a database, not at all" * 100)

    found = json.loads(home.run("status", "--json").out)

    assert found["work"] is None
    assert "database" in found["noWork"]


def test_commands_of_another_version_leave_the_tables_of_a_running_node_alone(home: Home) -> None:
    home.run("init")
    version = change_version(home, "0001_older")
    lock = HomeLock(home.path / "home")
    lock.acquire()

    refused = home.run("list")

    assert refused.code == 1
    assert "is of another version than this command" in refused.told
    assert change_version(home, version) == "0001_older"
    assert home.run("list").code == 0


def change_version(home: Home, to: str) -> str:
    """What the tables say of themselves; what they said until now."""
    with contextlib.closing(sqlite3.connect(home.path / "home" / "node.db")) as database:
        (was,) = database.execute("select version_num from alembic_version").fetchone()
        database.execute("update alembic_version set version_num = ?", (to,))
        database.commit()
    return str(was)
