"""Dagster's pages as a person sees them: the graph of all datasets, the page of one, its events."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import a_page
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, flows, live_flows, polled_root, pushed_root, records
from tests.support.waiting import wait_until

PATIENCE = 150.0
PATIENCE_MILLISECONDS = 120_000
DATASETS = ("polled", "pushed", "pushed.more", "pushed.most")
EDGES = 2
NUMBERS = [3, 4, 5]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Two roots, one of them with a chain of two derivatives; everything has data, and Dagster knows."""
    source = tmp_path_factory.mktemp("source") / "page.ndjson"
    source.write_text(records(NUMBERS))
    with running_node(tmp_path_factory.mktemp("node"), storage={"durability": "fast"}) as node:
        more, most = derivative("pushed.more", of="pushed"), derivative("pushed.most", of="pushed.more")
        add(node, polled_root("polled", source.as_uri()), pushed_root("pushed"), more, most)
        node.push("kamu/pushed", records(NUMBERS))
        node.kamu_node("trigger", "set", "polled", "--every", "1h")
        wait_until(lambda: all(map(node.ui.materializations, keys())), patience=PATIENCE, every=0.5)
        wait_until(lambda: not live_flows(node), patience=PATIENCE, every=0.5)
        yield node


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with a_page() as page:
        yield page


def keys() -> list[tuple[str, str]]:
    return [("kamu", name) for name in DATASETS]


def test_the_graph_shows_datasets_materialized_and_what_they_are_made_of(node: RunningNode, page: Page) -> None:
    page.goto(f"{node.ui.base}/asset-groups")

    for name in DATASETS:
        expect(in_graph(page, name)).to_contain_text("Materialized", timeout=PATIENCE_MILLISECONDS)
        kind = "derivative" if name.startswith("pushed.") else "root"
        expect(in_graph(page, name)).to_contain_text(kind)
    # The push was told to Dagster after the derivatives had followed it.
    expect(page.get_by_text("Unsynced")).to_have_count(0)
    expect(page.locator("path[marker-end]")).to_have_count(EDGES)


def test_the_page_of_a_dataset_shows_rows_columns_and_lineage(node: RunningNode, page: Page) -> None:
    page.goto(f"{node.ui.base}/assets/kamu/pushed.more")

    shown = page.locator("body")
    expect(shown).to_contain_text(re.compile(r"Row count\s*3"), timeout=PATIENCE_MILLISECONDS)
    for column, kind in (
        ("offset", "Int64"),
        ("system_time", "Timestamp"),
        ("event_time", "Timestamp"),
        ("n", "Int64"),
    ):
        row = page.locator("tr, [role=row]").filter(has=page.get_by_text(column, exact=True)).filter(has_text=kind)
        expect(row.first).to_be_visible()
    for text in ("Numbers, as they are counted", "Upstream assets", "Downstream assets", "watermark", "kamu/head"):
        expect(shown).to_contain_text(text)


def test_events_come_from_runs(node: RunningNode, page: Page) -> None:
    # The next one waits for its time already.
    (flow,) = (each for each in flows(node, "polled") if each.run_id)

    page.goto(f"{node.ui.base}/assets/kamu/polled?view=events")

    shown = page.locator("body")
    expect(shown).to_contain_text("records_added", timeout=PATIENCE_MILLISECONDS)
    expect(shown).to_contain_text("Materialized")
    expect(page.locator(f"a[href*='{flow.run_id}']").first).to_be_visible()


def test_events_come_from_pushes(node: RunningNode, page: Page) -> None:
    page.goto(f"{node.ui.base}/assets/kamu/pushed?view=events")

    shown = page.locator("body")
    expect(shown).to_contain_text("records_added", timeout=PATIENCE_MILLISECONDS)
    # Dagster's word for what no run has brought.
    expect(shown).to_contain_text("Reported")
    expect(page.locator("a[href*='/runs/']")).to_have_count(0)


def in_graph(page: Page, name: str) -> Locator:
    """The box of a dataset; boxes are drawn inside the graph's picture."""
    return page.locator("foreignObject").filter(has=page.get_by_text(name, exact=True))
