"""Whatever is asked of a node, through whichever door, is found in its history."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.query.history.model import QueryRecord, QueryState
from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading
from tests.support.served_node import ServedNode, serving
from tests.support.waiting import wait_until

ROWS = '{"id":1}\n{"id":2}\n{"id":3}\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        node.create(pushed_root("log", reading("id BIGINT")).replace("name: log", "name: alice/log"))
        assert node.push("alice/log", ROWS.encode(), "application/x-ndjson").is_success
        yield node


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.ok("add", home.write("log.yaml", pushed_root("log", reading("id BIGINT"))))
    home.ok("ingest", "log", home.write("rows.ndjson", ROWS))
    return home


def noted(served: ServedNode, request_id: str) -> QueryRecord:
    """What the history tells of a request, as soon as it does."""
    admin = served.node.auth.admin_caller()

    def find() -> QueryRecord | None:
        found = served.node.query_history.list(admin)
        return next((each for each in found if each.origin.request == request_id), None)

    return wait_until(find)


def test_a_query_over_rest(served: ServedNode) -> None:
    sql = 'select id from "alice/log" order by id'
    answer = served.request("POST", "/query", json={"query": sql}, headers={"x-request-id": "rest-1"})
    assert answer.is_success

    record = noted(served, "rest-1")

    alice = served.account("alice").id
    assert (record.account, record.origin.door, record.sql) == (alice, "rest/query", sql)
    assert [(read.alias, read.block_hash) for read in record.datasets] == [("alice/log", served.head("alice/log"))]
    assert (record.state, record.rows, record.bytes) == (QueryState.OK, 3, len('[{"id":1},{"id":2},{"id":3}]'))
    assert record.peak_bytes > 0
    assert served.node.query_history.get(Caller(served.account("alice")), record.id) == record


def test_a_tail_and_a_check_of_an_answer_by_nobody(served: ServedNode) -> None:
    named = {"x-request-id": "rest-2"}
    tail = served.request("GET", "/alice/log/tail?limit=2", as_=None, headers=named)
    answer = served.request("POST", "/query", json={"query": "select 1 as n", "include": ["Proof"]}, as_=None).json()
    asked = {name: answer[name] for name in ("input", "subQueries", "commitment", "proof")}
    verdict = served.request("POST", "/verify", json=asked, as_=None, headers={"x-request-id": "rest-3"})
    assert (len(tail.json()["data"]), verdict.json()) == (2, {"ok": True})

    newest, check = noted(served, "rest-2"), noted(served, "rest-3")

    assert (newest.origin.door, newest.sql, newest.rows, newest.account) == ("rest/tail", None, 2, None)
    assert [read.alias for read in newest.datasets] == ["alice/log"]
    assert (check.origin.door, check.sql, check.state) == ("rest/verify", "select 1 as n", QueryState.OK)


@pytest.mark.parametrize(
    ("request_id", "sql", "state", "error"),
    [
        ("rest-4", "selec", QueryState.FAILED, "InvalidQueryError"),
        ("rest-5", 'delete from "alice/log"', QueryState.REFUSED, "StatementNotAllowedError"),
        ("rest-6", 'select 1 / (id - 1) from "alice/log"', QueryState.FAILED, "QueryFailedError"),
    ],
)
def test_queries_that_fail(served: ServedNode, request_id: str, sql: str, state: QueryState, error: str) -> None:
    answer = served.request("POST", "/query", json={"query": sql}, headers={"x-request-id": request_id})

    record = noted(served, request_id)

    assert (record.state, record.error) == (state, error)
    assert record.message == answer.json()["message"]


def test_an_operator_stops_what_runs(served: ServedNode) -> None:
    endless = "select count(*) from generate_series(1, 3000000) a, generate_series(1, 3000000) b"
    history, admin = served.node.query_history, served.node.auth.admin_caller()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(served.request, "POST", "/query", json={"query": endless})
        wait_until(lambda: served.node.query_recorder._running)
        served.clock.advance(2)
        [running] = wait_until(lambda: history.list(admin, state=QueryState.RUNNING))

        history.cancel(admin, running.id)

        answer = asked.result(60)
    assert (running.sql, running.finished_at) == (endless, None)
    assert (answer.status_code, answer.json()) == (503, {"message": "query job was cancelled"})
    wait_until(lambda: history.get(admin, running.id).state is QueryState.CANCELLED)


def test_a_database_that_takes_no_rows_is_no_matter_of_queries(served: ServedNode) -> None:
    """As when it is full, or somebody holds its lock."""
    with served.node.database.transaction():
        answers = [served.request("POST", "/query", json={"query": f"select {number} as n"}) for number in range(3)]
        assert [answer.json()["output"]["data"] for answer in answers] == [[{"n": number}] for number in range(3)]

    last = served.request("POST", "/query", json={"query": "select 1"}, headers={"x-request-id": "rest-7"})
    assert last.is_success
    noted(served, "rest-7")


def test_what_commands_ask_is_listed_and_shown(home: Home) -> None:
    home.ok("sql", 'select id from "log" where id > 1')
    home.ok("tail", "log", "-n", "1")
    home.ok("export", "log", "--output-path", "out.csv", "--format", "csv", "--overwrite")
    home.run("sql", "drop table log")

    rows: list[dict[str, Any]] = home.json("query", "list", "--limit", "4")

    told = [(row["door"], row["state"], row["records"], row["account"]) for row in rows]
    assert told == [
        ("cli/sql", "REFUSED", 0, "kamu"),
        ("cli/export", "OK", 3, "kamu"),
        ("cli/tail", "OK", 1, "kamu"),
        ("cli/sql", "OK", 2, "kamu"),
    ]
    assert rows[1]["bytes"] == (home.path / "out.csv").stat().st_size
    assert [row["id"] for row in home.json("query", "list", "--before", rows[2]["id"], "--limit", "1")] == [
        rows[3]["id"]
    ]
    assert home.json("query", "list", "--state", "refused", "--limit", "1") == rows[:1]
    assert home.json("query", "show", rows[3]["id"]) == rows[3]
    for_people = home.ok("query", "show", rows[3]["id"])
    assert 'select id from "log" where id > 1' in for_people
    assert rows[3]["datasets"][0]["blockHash"] in for_people
    assert "newest of" in home.ok("query", "list")


def test_what_does_not_run_cannot_be_cancelled(home: Home) -> None:
    home.ok("sql", "select 1")
    [row] = home.json("query", "list", "--limit", "1")

    assert home.refusal("query", "cancel", row["id"]) == f"query {row['id']} does not run: it has ended"
    assert home.json("query", "list", "--running") == []


def test_nothing_is_kept_where_nobody_wants_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ok("init")
    home.ok("config", "set", "query.keep_days", "0")

    home.ok("sql", "select 1")

    assert home.json("query", "list") == []
