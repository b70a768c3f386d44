"""The dashboard that comes with the node asks for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kamu_assets.monitoring.metrics import SCHEDULER_STEP
from tests.support.served_node import serving

DASHBOARD = Path(__file__).parents[2] / "deployment" / "monitoring" / "grafana.json"
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
_NAME = re.compile(r"\bkamu_\w+")
# Told of the node's other processes: there is none here.
_OF_OTHERS = {"kamu_node_process_up"}

Json = Any


@pytest.fixture(scope="module")
def dashboard() -> Json:
    return json.loads(DASHBOARD.read_text())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all that a node tells, with the ends that the text gives them."""
    with serving(tmp_path_factory.mktemp("node")) as served:
        with served.node.database.transaction() as tx:
            served.node.outbox.register(tx, "somebody")
        text = served.request("GET", "/system/metrics", as_=None).text
    # The registry is the process's: other tests may have put theirs into it.
    families = [each for each in text_string_to_metric_families(text) if "_test_" not in each.name]
    return {f"{each.name}{suffix}" for each in families for suffix in _SUFFIXES[each.type]}


def test_every_metric_of_the_dashboard_exists(dashboard: Json, told: set[str]) -> None:
    asked = {name for target in targets(dashboard) for name in _NAME.findall(target["expr"])}

    assert asked <= told | _OF_OTHERS
    assert SCHEDULER_STEP.name in asked


def test_every_metric_of_the_node_is_on_the_dashboard(dashboard: Json, told: set[str]) -> None:
    asked = {name for target in targets(dashboard) for name in _NAME.findall(target["expr"])}

    families = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    # Times of jobs are those of the work that they are part of.
    assert families - shown == {"kamu_node_job_seconds"}


def test_panels_are_side_by_side_and_ask_one_source(dashboard: Json) -> None:
    places = [tuple(panel["gridPos"][name] for name in "xy") for panel in dashboard["panels"]]

    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    assert {target["datasource"]["uid"] for target in targets(dashboard)} == {"${datasource}"}
    for target in targets(dashboard):
        assert target["expr"].count("(") == target["expr"].count(")")


def targets(dashboard: Json) -> list[Json]:
    return [target for panel in dashboard["panels"] for target in panel["targets"]]
