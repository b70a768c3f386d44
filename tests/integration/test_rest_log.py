"""Lines of one request are found by its id, and hold no secrets."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kamu_assets.monitoring.logs import configure_logging
from tests.support.command_line import logging_untouched
from tests.support.served_node import ServedNode, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        yield node


def test_every_line_of_a_request_has_its_id(served: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        structlog.get_logger().info("deep_inside")
        raise ZeroDivisionError

    monkeypatch.setattr(served.node.query, "query", fail)
    output = io.StringIO()
    with logging_untouched():
        configure_logging("api", as_json=True, stream=output)
        served.request("GET", "/query?query=select%20'hunter2-hunter2'", headers={"x-request-id": "mine-1"})
        other = served.request("GET", "/info?token=hunter2-hunter2")

    events = [json.loads(line) for line in output.getvalue().splitlines()]
    mine = [event["event"] for event in events if event.get("request") == "mine-1"]
    assert mine == ["deep_inside", "request_failed", "request"]
    assert [event["path"] for event in events if event.get("request") == other.headers["x-request-id"]] == ["/info"]
    assert "hunter2" not in output.getvalue()
    assert served.tokens["alice"] not in output.getvalue()
