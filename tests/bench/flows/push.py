"""From a push to the derivative's new head, while the scheduler has nothing else to do, and while it has much."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from kamu_assets.flows.model import OutcomeKind
from kamu_assets.flows.triggers.rules import Interval
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from tests.bench.flows.home import FOLLOWED, POLLING, polling
from tests.bench.measurement import Machine, Measurement, median_of
from tests.bench.node.push import Push, check_records, stages_of
from tests.bench.subject import expect
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

IDLE_LIMIT, BUSY_LIMIT = 1.0, 3.0
WARM_UPS, SAMPLES = 2, 15
SECONDS_APART = 2.0
# A flow of each of the others is due a second after the one before: there are more than the executors can do.
EVERY = Interval(1)
# One was made with the home.
FIRST = 1
PATIENCE_SECONDS = 300.0


@dataclass
class _Pusher:
    """Pushes again and again, with pauses; no record twice."""

    running: RunningNode
    node: Node
    followed: DatasetID
    done: list[Push] = field(default_factory=list)

    def push(self, times: int) -> Sequence[float]:
        return [self._one() for _ in range(times)]

    def _one(self) -> float:
        began = time.monotonic()
        push = Push(self.running, self.node, self.followed)
        seconds = push.measure(FIRST + len(self.done))
        self.done.append(push)
        time.sleep(max(0.0, SECONDS_APART - (time.monotonic() - began)))
        return seconds


def push_to_derivative(running: RunningNode) -> Iterator[Measurement]:
    with running.opened() as node:
        followed = node.datasets.resolve(node.auth.admin_caller(), DatasetAlias.parse(f"kamu/{FOLLOWED}")).id
        pusher = _Pusher(running, node, followed)
        pusher.push(WARM_UPS)
        yield _measured(pusher, "push_to_derivative_while_idle", IDLE_LIMIT)
        with _others(node):
            yield _measured(pusher, f"push_to_derivative_beside_{POLLING}_flows", BUSY_LIMIT)
    check_records(running, pushes=FIRST + len(pusher.done))


def _measured(pusher: _Pusher, workload: str, limit: float) -> Measurement:
    machine = Machine.now()
    seconds = pusher.push(SAMPLES)
    stages = stages_of(pusher.done[-SAMPLES:])
    return median_of(workload, seconds, machine=machine, limit=limit, stages=stages)


@contextmanager
def _others(node: Node) -> Iterator[None]:
    """Until the end so many roots are polled as often as the executors can; each of them again and again."""
    admin = node.auth.admin_caller()
    roots = [
        node.datasets.resolve(admin, DatasetAlias.parse(f"kamu/{polling(number)}")).id for number in range(POLLING)
    ]
    newest = max(flow.id for flow in node.flows.list(admin, limit=1))
    for root in roots:
        node.triggers.set(admin, root, EVERY)
    wait_until(lambda: _ended(node, roots, newest) >= POLLING, patience=PATIENCE_SECONDS, every=1)
    before = _ended(node, roots, newest)
    yield
    ended = _ended(node, roots, newest)
    for root in roots:
        node.triggers.pause(admin, root)
    wait_until(lambda: not _live(node), patience=PATIENCE_SECONDS, every=1)
    expect("others that ended meanwhile are many", found=ended - before >= POLLING, wanted=True)


def _ended(node: Node, roots: Sequence[DatasetID], after: int) -> int:
    """How many flows of the others ended well."""
    found = node.flows.list(node.auth.admin_caller(), limit=10_000)
    mine = [flow for flow in found if flow.id > after and flow.dataset_id in roots and flow.outcome is not None]
    expect("outcomes", found={each.outcome.kind for each in mine if each.outcome} - _WELL, wanted=set())
    return len(mine)


def _live(node: Node) -> bool:
    return bool(node.flows.load().running)


_WELL = {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}
