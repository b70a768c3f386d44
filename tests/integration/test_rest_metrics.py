"""What Prometheus is told, and that it learns no names from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kamu_gateway.edge.datasets import DATASET
from tests.support.manifests import pushed_root, reading
from tests.support.recorded_seed import Seed
from tests.support.served_node import ServedNode, serving

_ROWS = b'{"id":1}\n{"id":2}\n{"id":3}\n'


class Scrape(NamedTuple):
    """One answer, as Prometheus understands it."""

    lines: dict[tuple[str, frozenset[tuple[str, str]]], float]
    text: str

    def value(self, name: str, **labels: str) -> float:
        return self.lines.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        node.create(pushed_root("secretive", reading("id BIGINT")))
        yield node


def scraped(served: ServedNode) -> Scrape:
    answer = served.request("GET", "/system/metrics", as_=None)
    assert answer.status_code == httpx.codes.OK
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    assert len({each.name for each in families}) == len(families)
    lines = {(one.name, frozenset(one.labels.items())): one.value for each in families for one in each.samples}
    return Scrape(lines, answer.text)


def test_pushes_commits_and_queries_are_counted(served: ServedNode) -> None:
    before = scraped(served)

    assert served.push("alice/secretive", _ROWS, "application/x-ndjson").status_code == httpx.codes.OK
    assert (
        served.request("GET", "/query?query=select%20id%20from%20%22alice/secretive%22").status_code == httpx.codes.OK
    )
    after = scraped(served)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels, process="api") - before.value(name, **labels, process="api")

    assert grown("kamu_node_ingest_records_total") == 3
    assert grown("kamu_node_ingest_bytes_total") > 0
    assert grown("kamu_node_ingest_seconds_count", way="push") == 1
    assert grown("kamu_node_commit_seconds_count") == 1
    assert grown("kamu_node_job_seconds_count", pool="engine") == 1
    assert grown("kamu_node_job_seconds_count", pool="query") == 1
    assert grown("kamu_node_job_peak_bytes_sum", pool="query") > 1 << 20
    assert grown("kamu_node_query_rows_total") == 3
    assert after.value("kamu_node_jobs_running", pool="query", process="api") == 0
    assert after.value("kamu_node_process_memory_bytes", process="api") > 1 << 20


def test_polls_and_transforms_are_counted(served: ServedNode, tmp_path: Path) -> None:
    before = scraped(served)

    Seed(served, tmp_path, frozenset({"alice/stations", "alice/readings", "alice/readings.daily"})).play()
    after = scraped(served)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels, process="api") - before.value(name, **labels, process="api")

    assert grown("kamu_node_ingest_seconds_count", way="poll") == 1
    assert grown("kamu_node_ingest_seconds_count", way="push") == 4
    assert grown("kamu_node_ingest_records_total") == 4 + 19
    assert grown("kamu_node_transform_seconds_count") == 1
    assert grown("kamu_node_transform_records_total") == 6
    assert {name for name, _ in after.lines} >= {"kamu_node_runs_waiting", "kamu_node_runs_running"}


def test_failures_are_counted_by_their_kind(served: ServedNode) -> None:
    before = scraped(served)

    assert served.push("alice/secretive", b"{", "application/x-ndjson").status_code == httpx.codes.BAD_REQUEST
    assert served.request("GET", "/query?query=selec").status_code == httpx.codes.BAD_REQUEST
    after = scraped(served)

    new = {line for line in after.lines if after.lines[line] > before.lines.get(line, 0) and "failures" in line[0]}
    assert {name for name, _ in new} == {"kamu_node_ingest_failures_total", "kamu_node_job_failures_total"}
    assert all(dict(labels)["kind"] != "bug" for _, labels in new)


def test_requests_are_counted_by_route_and_never_by_path(served: ServedNode) -> None:
    before = scraped(served)
    route = {"method": "GET", "route": f"{DATASET}/tail", "process": "api"}

    served.request("GET", "/alice/secretive/tail")
    served.request("GET", "/alice/guessed/tail")
    served.request("GET", "/nowhere/to/be/found")
    served.request("BREW", "/alice/secretive/tail")
    after = scraped(served)

    def grown(**labels: str) -> float:
        return after.value("kamu_node_http_requests_total", **labels) - before.value(
            "kamu_node_http_requests_total", **labels
        )

    assert (grown(**route, status="200"), grown(**route, status="404")) == (1, 1)
    assert grown(**{**route, "route": "none"}, status="404") == 1
    assert after.value("kamu_node_http_request_seconds_count", **route) >= 2
    for name in ("alice", "secretive", "guessed", "nowhere", "BREW"):
        assert name not in after.text


def test_the_outbox_is_told_by_the_names_that_operators_know(served: ServedNode) -> None:
    outbox = served.node.outbox
    with served.node.database.transaction() as tx:
        outbox.register(tx, "idle", "busy", "stuck")
        last = outbox.last(tx)
        outbox.advance(tx, "busy", last)
        outbox.fail(tx, "stuck", "it does not like the message")

    found = scraped(served)

    def of(name: str) -> dict[str, float]:
        return {one: found.value(f"kamu_api_server_outbox_{name}", consumer=one) for one in ("idle", "busy", "stuck")}

    assert of("messages_processed_total") == {"idle": 0, "busy": last, "stuck": 0}
    assert of("messages_pending_total") == {"idle": last, "busy": 0, "stuck": last}
    assert of("failed_consumers_total") == {"idle": 0, "busy": 0, "stuck": 1}
    assert last > 0


def test_without_a_database_the_rest_is_told(served: ServedNode) -> None:
    served.node.database.close()
    for path in served.node.settings.home.glob("node.db*"):
        path.unlink()
    served.node.settings.home.joinpath("node.db").write_bytes(b"not a database, not at all" * 100)

    found = scraped(served)

    assert found.value("kamu_node_process_memory_bytes", process="api") > 0
    assert "outbox" not in found.text


def test_the_request_id_is_the_callers_or_a_new_one(served: ServedNode) -> None:
    def answered(**headers: str) -> str:
        return served.request("GET", "/info", headers=headers).headers["x-request-id"]

    assert answered(**{"x-request-id": "from-the-proxy.1"}) == "from-the-proxy.1"
    assert answered(**{"x-request-id": "a" * 65}) != "a" * 65
    assert answered() != answered()
