"""From the wish to stop a flow that runs to its end: its source answers no more, so it would go on for minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from tests.bench.flows.home import SLOW
from tests.bench.measurement import Machine, Measurement, percentile, spread
from tests.bench.node.runs import tags_of
from tests.bench.subject import expect
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until
from tests.support.web_source import Route, WebSource, web_source

LIMIT = 2.0
SAMPLES = 5
PATH = "/slow.ndjson"
SILENCE_SECONDS = 300.0
LOOK_SECONDS = 0.01


@contextmanager
def slow_source() -> Iterator[WebSource]:
    """A server that takes its time."""
    with web_source() as web:
        web.routes[PATH] = Route(silence_seconds=SILENCE_SECONDS)
        yield web


def cancel(running: RunningNode, web: WebSource) -> Measurement:
    """The slowest of some."""
    machine = Machine.now()
    with running.opened() as node:
        slow = node.datasets.resolve(node.auth.admin_caller(), DatasetAlias.parse(f"kamu/{SLOW}")).id
        seconds = [_cancelled(running, node, slow, web) for _ in range(SAMPLES)]
    details = spread(seconds)
    return Measurement("cancel", percentile(seconds, 1), "s", machine, limit=LIMIT, details=details)


def _cancelled(running: RunningNode, node: Node, slow: DatasetID, web: WebSource) -> float:
    admin = node.auth.admin_caller()
    head = node.datasets.summary(admin, slow).head
    asked = len(web.requests)
    flow = node.flows.request_run(admin, slow).id
    wait_until(lambda: len(web.requests) > asked)
    began = time.monotonic()
    node.flows.cancel(admin, flow)
    ended = wait_until(lambda: _ended(node, flow), every=LOOK_SECONDS)
    seconds = time.monotonic() - began
    expect("outcome", found=ended.outcome, wanted=FlowOutcome(OutcomeKind.ABORTED))
    expect("head", found=node.datasets.summary(admin, slow).head, wanted=head)
    runs = {run.id: run.status for run in running.ui.runs(tags=tags_of(slow))}
    expect("run", found=runs.get(ended.run_id or ""), wanted="CANCELED")
    return seconds


def _ended(node: Node, flow: int) -> Flow | None:
    found = node.flows.get(node.auth.admin_caller(), flow)
    return found if found.state is FlowState.FINISHED else None
