"""From a push over REST to the derivative's new head, computed by a Dagster run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median

from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from tests.bench.measurement import Machine, Measurement, median_of
from tests.bench.node.manifests import derivative, root, rows
from tests.bench.node.runs import ended_run, first_of, run_ids
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

LIMIT = 1.0
WARM_UPS = 3
SAMPLES = 20
RECORDS = 10
LOOK_SECONDS = 0.005


def push_to_derivative(running: RunningNode) -> Measurement:
    with running.opened() as node:
        admin = node.auth.admin_caller()
        node.datasets.create_from_snapshot(admin, root("pushed"))
        followed = node.datasets.create_from_snapshot(admin, derivative("followed", of="pushed")).id
        for number in range(WARM_UPS):
            Push(running, node, followed).measure(number)
        machine = Machine.now()
        pushes = [Push(running, node, followed) for _ in range(SAMPLES)]
        seconds = [push.measure(WARM_UPS + number) for number, push in enumerate(pushes)]
    check_records(running, pushes=WARM_UPS + SAMPLES)
    return median_of("push_to_derivative_p50", seconds, machine=machine, limit=LIMIT, stages=stages_of(pushes))


class Push:
    """One push of records, and what came of it in the derivative; times are of the machine's clock."""

    def __init__(self, running: RunningNode, node: Node, followed: DatasetID) -> None:
        self._running = running
        self._node = node
        self._followed = followed

    def measure(self, number: int) -> float:
        """Seconds from the first byte sent to the derivative's new head."""
        old, known = self._head(), run_ids(self._running, self._followed)
        self.began = time.time()
        self._running.push("kamu/pushed", rows(number * RECORDS, RECORDS))
        self.answered = time.time() - self.began
        wait_until(lambda: self._head() != old, every=LOOK_SECONDS)
        self.moved = time.time()
        self._note_run(known)
        return self.moved - self.began

    def _note_run(self, known: set[str]) -> None:
        """Exactly one run did it, and says so."""
        run = ended_run(self._running, self._followed, known=known)
        assert run.status == "SUCCESS", run
        events = self._running.ui.events(run.id)
        self.created = min(event.at for event in events)
        self.step = first_of(events, "STEP_START").at
        assert first_of(events, "ASSET_MATERIALIZATION"), events

    def _head(self) -> Multihash:
        return self._node.datasets.summary(self._node.auth.admin_caller(), self._followed).head


def stages_of(pushes: Sequence[Push]) -> Mapping[str, float]:
    """Where the time went."""
    return {
        "answered": median(push.answered for push in pushes),
        "run_created_to_step": median(push.step - push.created for push in pushes),
        "pushed_to_step": median(push.step - push.began for push in pushes),
        "step_to_head": median(push.moved - push.step for push in pushes),
    }


def check_records(running: RunningNode, *, pushes: int) -> None:
    """The derivative holds what was pushed, once."""
    for name in (DatasetAlias.parse("kamu/pushed"), DatasetAlias.parse("kamu/followed")):
        found = running.query(f'select count(*) as n, count(distinct city) as d from "{name}"')
        assert found == [{"n": pushes * RECORDS, "d": pushes * RECORDS}], (name, found)
