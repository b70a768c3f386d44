"""What orchestrators are told, and what is left of the node when something breaks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served_node import ServedNode, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        yield node


def test_a_node_that_can_work_is_ready_and_leaves_no_trace_of_the_check(served: ServedNode) -> None:
    datasets = served.node.settings.root_path
    before = sorted(path.name for path in datasets.iterdir())

    for probe in ("liveness", "readiness", "startup"):
        answer = served.request("GET", f"/system/health?type={probe}", as_=None)
        assert (answer.status_code, answer.json()) == (200, {"ok": True})

    assert sorted(path.name for path in datasets.iterdir()) == before


def test_a_node_whose_volume_takes_no_writes_lives_but_is_not_ready(served: ServedNode) -> None:
    datasets = served.node.settings.root_path
    shutil.rmtree(datasets)
    datasets.write_text("not a folder")

    ready = served.request("GET", "/system/health?type=readiness", as_=None)
    alive = served.request("GET", "/system/health", as_=None)

    assert ready.status_code == 503
    assert ready.json()["ok"] is False
    assert ready.json()["reason"]
    assert (alive.status_code, alive.json()) == (200, {"ok": True})


def test_a_node_without_its_database_is_not_ready(served: ServedNode) -> None:
    served.node.database.close()
    for path in served.node.settings.home.glob("node.db*"):
        path.unlink()
    served.node.settings.home.joinpath("node.db").write_bytes(b"not a database, not at all" * 100)

    ready = served.request("GET", "/system/health?type=readiness", as_=None)

    assert ready.status_code == 503
    assert "database" in ready.json()["reason"]


def test_a_bug_is_an_empty_500_that_browsers_may_read(served: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(served.node.query, "query", fail)

    answer = served.request("GET", "/query?query=select%201", as_=None)

    assert (answer.status_code, answer.text) == (500, "")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert served.request("GET", "/info").json() == {"isMultiTenant": True}
