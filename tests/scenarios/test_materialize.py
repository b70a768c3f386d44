"""The Materialize button of Dagster's UI, for every kind of dataset, on a running node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from tests.support.dagster_ui import RunSeen
from tests.support.running_node import RunningNode, running_node
from tests.support.stories import (
    add,
    derivative,
    flows,
    numbers,
    numbers_so_far,
    polled_root,
    polled_table,
    pushed_root,
    records,
)
from tests.support.waiting import wait_until
from tests.support.web_source import Route, WebSource, web_source

PATIENCE = 150.0
# Longer than any test waits: such a page answers when the test lets it.
SILENCE = 600.0
NUMBERS = [3, 4, 5]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def node(database_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("node")
    database = {"url": database_url} if database_url else {}
    with running_node(home, database=database, storage={"durability": "fast"}, egress={"allow": ["127.0.0.1"]}) as node:
        yield node


@pytest.fixture
def name() -> str:
    return f"d{uuid4().hex[:8]}"


@pytest.fixture
def web() -> Iterator[WebSource]:
    with web_source() as source:
        yield source


def press(node: RunningNode, name: str) -> str:
    """Materialize, once the UI shows the dataset."""
    wait_until(lambda: ("kamu", name) in node.ui.assets(), patience=PATIENCE, every=0.2)
    return node.ui.materialize(("kamu", name))


def ended(node: RunningNode, run_id: str) -> str:
    """How the run ended."""

    def look() -> str | None:
        run = node.ui.run(run_id)
        return run.status if run and run.has_ended else None

    return wait_until(look, patience=PATIENCE, every=0.1)


def has_status(node: RunningNode, run_id: str, status: str) -> bool:
    run = node.ui.run(run_id)
    return run is not None and run.status == status


def flow_of(node: RunningNode, name: str, run_id: str) -> Flow:
    """What became of a run, as the node sees it."""

    def look() -> Flow | None:
        return next((flow for flow in flows(node, name) if flow.run_id == run_id and flow.outcome), None)

    return wait_until(look, patience=PATIENCE, every=0.2)


def materializations(node: RunningNode, name: str) -> list[str]:
    """The runs that told of new data, oldest first."""
    return [seen.run_id for seen in node.ui.materializations(("kamu", name))]


def test_a_polled_root_is_polled(node: RunningNode, name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.ndjson"
    page.write_text(records(NUMBERS))
    add(node, polled_root(name, page.as_uri()))

    first = press(node, name)
    assert ended(node, first) == "SUCCESS"
    second = press(node, name)
    assert ended(node, second) == "SUCCESS"

    assert numbers(node, name) == NUMBERS
    (told,) = node.ui.materializations(("kamu", name))
    assert told.run_id == first
    assert told.metadata["dagster/row_count"] == len(NUMBERS)
    flow = flow_of(node, name, first)
    assert (flow.cause.kind, flow.outcome) == (CauseKind.DAGSTER_UI, FlowOutcome(OutcomeKind.SUCCESS))
    assert flow_of(node, name, second).outcome == FlowOutcome(OutcomeKind.UP_TO_DATE)


def test_a_new_derivative_is_computed_and_then_is_up_to_date(node: RunningNode, name: str) -> None:
    add(node, pushed_root(name))
    node.push(f"kamu/{name}", records(NUMBERS))
    add(node, derivative(f"{name}.more", of=name))
    more = [number + 1 for number in NUMBERS]
    wait_until(lambda: numbers_so_far(node, f"{name}.more") == more, patience=PATIENCE)

    run = press(node, f"{name}.more")

    assert ended(node, run) == "SUCCESS"
    assert numbers(node, f"{name}.more") == more
    flow = flow_of(node, f"{name}.more", run)
    assert (flow.cause.kind, flow.outcome) == (CauseKind.DAGSTER_UI, FlowOutcome(OutcomeKind.UP_TO_DATE))


def test_a_root_that_is_only_pushed_to_has_nothing_to_poll(node: RunningNode, name: str) -> None:
    add(node, pushed_root(name))

    run = press(node, name)

    assert ended(node, run) == "SUCCESS"
    assert any("nothing to poll" in event.message for event in node.ui.events(run))
    assert materializations(node, name) == []
    assert flow_of(node, name, run).outcome == FlowOutcome(OutcomeKind.UP_TO_DATE)


def test_a_source_that_fails_fails_the_run_and_says_why(node: RunningNode, name: str, web: WebSource) -> None:
    add(node, polled_root(name, f"{web.url}/gone"))

    run = press(node, name)

    assert ended(node, run) == "FAILURE"
    outcome = flow_of(node, name, run).outcome
    assert outcome is not None
    assert outcome.kind is OutcomeKind.FAILED
    assert f"source not found: {web.url}/gone" in str(outcome.message)
    assert materializations(node, name) == []


def test_a_bad_record_fails_the_run_and_says_what_to_fix(node: RunningNode, name: str, tmp_path: Path) -> None:
    page = tmp_path / "numbers.csv"
    page.write_text("event_time,n\n2024-01-01T00:00:00Z,3\n2024-01-02T00:00:00Z,four\n")
    add(node, polled_table(name, page.as_uri()))

    run = press(node, name)

    assert ended(node, run) == "FAILURE"
    failure = node.ui.failure(run)
    assert 'Failure: numbers.csv, line 3, column `n`: "four" is not a valid BIGINT; correct it, or' in failure.message
    assert "Nothing of what failed was committed" in str(failure.metadata["what_to_do"])
    # The page shows the first of them only where there is no cause, and the cause has none.
    assert failure.stacks[1:] == [[]]
    assert node.ui.latest_run(("kamu", name)) == RunSeen(run, "FAILURE")
    page.write_text(page.read_text().replace("four", "4"))
    assert ended(node, press(node, name)) == "SUCCESS"
    assert numbers(node, name) == [3, 4]


def test_a_run_is_cancelled_and_the_next_one_works(node: RunningNode, name: str, web: WebSource) -> None:
    web.routes["/page"] = Route(records(NUMBERS).encode(), silence_seconds=SILENCE)
    add(node, polled_root(name, f"{web.url}/page"))
    run = press(node, name)
    wait_until(partial(bool, web.requests), patience=PATIENCE)
    worker = node.pids()["worker"]

    assert node.ui.terminate(run) == "TerminateRunSuccess"

    assert ended(node, run) == "CANCELED"
    assert flow_of(node, name, run).outcome == FlowOutcome(OutcomeKind.ABORTED)
    web.stopping.set()
    again = press(node, name)
    assert ended(node, again) == "SUCCESS"
    assert numbers(node, name) == NUMBERS
    assert materializations(node, name) == [again]
    assert node.pids()["worker"] == worker


def test_two_runs_of_one_dataset_follow_each_other(node: RunningNode, name: str, web: WebSource) -> None:
    web.routes["/page"] = Route(records(NUMBERS).encode(), silence_seconds=SILENCE)
    add(node, polled_root(name, f"{web.url}/page"))
    first = press(node, name)
    wait_until(partial(bool, web.requests), patience=PATIENCE)

    second = press(node, name)
    wait_until(lambda: has_status(node, second, "QUEUED"), patience=PATIENCE)
    assert len(web.requests) == 1
    web.stopping.set()

    assert (ended(node, first), ended(node, second)) == ("SUCCESS", "SUCCESS")
    assert numbers(node, name) == NUMBERS
    assert materializations(node, name) == [first]
    assert flow_of(node, name, second).outcome == FlowOutcome(OutcomeKind.UP_TO_DATE)


def test_renames_deletions_and_recreations_are_seen(node: RunningNode, name: str) -> None:
    add(node, pushed_root(name))
    node.push(f"kamu/{name}", records(NUMBERS))
    wait_until(lambda: materializations(node, name), patience=PATIENCE, every=0.2)

    node.kamu_node("rename", f"kamu/{name}", f"{name}.new")
    wait_until(lambda: keys(node, name) == {f"{name}.new"}, patience=PATIENCE, every=0.2)
    (told,) = wait_until(lambda: node.ui.materializations(("kamu", f"{name}.new")), patience=PATIENCE, every=0.2)
    assert told.metadata["dagster/row_count"] == len(NUMBERS)
    assert materializations(node, name) == []

    node.kamu_node("delete", "--yes", f"kamu/{name}.new")
    wait_until(lambda: not keys(node, name), patience=PATIENCE, every=0.2)
    add(node, pushed_root(f"{name}.new"))
    wait_until(lambda: keys(node, name) == {f"{name}.new"}, patience=PATIENCE, every=0.2)
    assert materializations(node, f"{name}.new") == []


def keys(node: RunningNode, prefix: str) -> set[str]:
    """The names of the datasets that the UI shows, of those that begin like this."""
    return {key[-1] for key in node.ui.assets() if key[-1].startswith(prefix)}
