"""SQL that means no good, sent by one user while another works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.manifests import pushed_root, reading
from tests.support.served_node import ServedNode, serving

SECONDS = 6
BILLIONS = "generate_series(1, 3000000) a, generate_series(1, 3000000) b"
WILD = (
    f"select count(*) from {BILLIONS} where a.value * b.value = 7",
    "with recursive n as (select 1 as x union all select x + 1 from n) select count(*) from n",
    f"select sum(a.value) from {BILLIONS} where a.value + b.value > 9 group by a.value % 7",
    "select string_agg(repeat('x', 100000), ',') from generate_series(1, 1000000)",
)
ENDED = re.compile(
    r"query (takes longer than|needs more than|was aborted)|callers wait already|query worker died", re.IGNORECASE
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node"), query={"time_limit_seconds": SECONDS}) as node:
        node.create(pushed_root("bob/log", reading("level BIGINT")), owner="bob")
        yield node


def asked(served: ServedNode, sql: str, *, as_: str, **more: object) -> httpx.Response:
    return served.request("POST", "/query", as_=as_, json={"query": sql, **more})


def message(answer: httpx.Response) -> str:
    (found,) = answer.json().values()
    return str(found)


def pushed(served: ServedNode, level: int) -> int:
    body = json.dumps({"level": level}).encode()
    headers = {"content-type": "application/x-ndjson"}
    return served.request("POST", "/bob/log/ingest", as_="bob", content=body, headers=headers).status_code


def test_others_are_answered_while_one_user_runs_wild(served: ServedNode) -> None:
    with ThreadPoolExecutor(len(WILD)) as mallory:
        wild = [mallory.submit(asked, served, sql, as_="mallory") for sql in WILD]
        rounds = 0
        while rounds < 3 or not all(each.done() for each in wild):
            rounds += 1
            assert pushed(served, rounds) == 200
            counted = asked(served, 'select count(*) as n, max(level) as m from "bob/log"', as_="bob")
            assert (counted.status_code, counted.json()["output"]["data"]) == (200, [{"n": rounds, "m": rounds}])
            newest = served.request("GET", "/bob/log/tail?limit=1", as_="bob").json()["data"]
            assert [row["level"] for row in newest] == [rounds]

    for answer in (each.result() for each in wild):
        assert answer.status_code in {400, 503}
        assert ENDED.search(message(answer)), answer.text


def test_a_query_that_fails_at_a_late_row_has_no_rows_and_no_good_status(served: ServedNode) -> None:
    sql = "select value, 1 / (50000 - value) as x from generate_series(1, 60000)"

    answer = asked(served, sql, as_="bob", limit=60_000)

    assert (answer.status_code, answer.json()) == (400, {"message": "Divide by zero error"})


LONG = 1 << 20
NAMES = ("../../etc/passwd", "bob/../bob/log", "bob/log/", "bob//log", "/bob/log", " bob/log", "bob/log;", "bob/log\0")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select 1" + " " * LONG, f"the query is longer than {LONG} characters"),
        ("select '" + "x" * LONG + "'", f"the query is longer than {LONG} characters"),
        (
            " union all ".join(["select 1 as x"] * 5_000),
            "the query nests more than 1000 operators and brackets; use IN, VALUES or joins",
        ),
        (
            "select " + "(" * 9_000 + "1" + ")" * 9_000,
            "the query nests more than 1000 operators and brackets; use IN, VALUES or joins",
        ),
        ("copy (select 1) to 'stolen.csv'", "statement not allowed: COPY; only queries are"),
        ('drop table "bob/log"', "statement not allowed: DropTable; only queries are"),
        ("create view x as select 1", "statement not allowed: CreateView; only queries are"),
        ("select * from read_csv('/etc/passwd')", "table function 'read_csv' not found"),
        ("select * from 'file:///etc/passwd'", "table 'kamu.kamu.file:///etc/passwd' not found"),
        *((f'select * from "{name}"', f"table 'kamu.kamu.{name}' not found") for name in NAMES),
        ('select * from """bob/log"""', "table 'kamu.kamu.\"bob/log\"' not found"),
        (f'select * from "{"x" * 10_000}"', f"table 'kamu.kamu.{'x' * 10_000}' not found"),
    ],
    ids=lambda text: text[:24],
)
def test_hostile_sql_is_refused_in_exact_words(served: ServedNode, sql: str, told: str) -> None:
    body = json.dumps({"query": sql}).encode()

    answer = served.request("POST", "/query", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()) == (400, {"message": told})


def test_nothing_can_be_written(served: ServedNode, tmp_path: Path) -> None:
    for statement in ("copy (select 1)", "explain copy (select 1)", "explain analyze copy (select 1)"):
        assert asked(served, f"{statement} to '{tmp_path}/stolen.csv'", as_="mallory").status_code == 400

    assert list(tmp_path.iterdir()) == []


def test_a_page_far_beyond_the_rows_is_empty(served: ServedNode) -> None:
    answer = asked(served, "select * from (values (1), (2)) t(x)", as_="bob", skip=2**63, limit=2**64 - 1)

    assert (answer.status_code, answer.json()["output"]["data"]) == (200, [])
