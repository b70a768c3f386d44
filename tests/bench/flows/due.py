"""1,000 flows that become due at the same moment: one push gives 1,000 derivatives something to do.

*Decided and queued* is a flow when its row says that it starts at once: it waits in our tables for an executor, and a
crash loses it no more. The time runs from the first byte of the push to the moment when all 1,000 rows can be read.
Executors starve while flows wait and one of them finds no run that it could take.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import func, select

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.statistics import StatisticsStore
from kamu_assets.flows.flow_rows import flows
from kamu_assets.flows.history.store import attempts
from kamu_assets.flows.model import FlowState, OutcomeKind
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.workers.warm_queue import warm_runs
from tests.bench.flows.home import FOLLOWERS, RECORDS, SOURCE, follower
from tests.bench.measurement import Machine, Measurement
from tests.bench.node.manifests import rows
from tests.bench.subject import expect
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

QUEUED_LIMIT = 5.0
STARVING_LIMIT = 5.0
QUEUE_LOOK_SECONDS, SAMPLE_SECONDS, LOOK_SECONDS = 0.02, 0.1, 0.5
PATIENCE_SECONDS = 600.0


@dataclass
class _Executors:
    """Looks again and again whether they have something to do, until nothing waits any more."""

    workers: int
    samples: int = 0
    starving: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self, node: Node) -> Iterator[None]:
        watch = threading.Thread(target=self._watch, args=(node,))
        watch.start()
        try:
            yield
        finally:
            self.stop.set()
            watch.join()

    def _watch(self, node: Node) -> None:
        while not self.stop.wait(SAMPLE_SECONDS):
            with node.database.reading() as tx:
                begun = tx.execute(select(attempts.c.flow_id).limit(1)).first() is not None
                waiting = _count(tx, flows.c.state == FlowState.WAITING.value, flows.c.scheduled_at <= node.clock.now())
                runs = list(tx.execute(select(warm_runs.c.owner)).scalars())
            if begun and waiting:
                self.samples += 1
                self.starving += None not in runs and len(runs) < self.workers


def due_at_once(running: RunningNode) -> Iterator[Measurement]:
    machine = Machine.now()
    executors = _Executors(running.settings.dagster.workers)
    with running.opened() as node:
        followers = _followers(node)
        since = node.flows.life.rules.step_of(node.clock.now())
        with executors.watched(node):
            pushed = time.monotonic()
            running.push(f"kamu/{SOURCE}", rows(RECORDS, RECORDS))
            wait_until(lambda: _queued(node, since) == FOLLOWERS, patience=PATIENCE_SECONDS, every=QUEUE_LOOK_SECONDS)
            queued = time.monotonic() - pushed
            wait_until(lambda: _ended(node, since) == FOLLOWERS, patience=PATIENCE_SECONDS, every=LOOK_SECONDS)
            done = time.monotonic() - pushed
        runs = _check(node, followers, since)
    yield Measurement(
        "flows_due_at_once_queued", queued, "s", machine, limit=QUEUED_LIMIT, details={"flows": FOLLOWERS}
    )
    yield Measurement(
        "executors_starve_while_flows_wait",
        100 * executors.starving / max(1, executors.samples),
        "% of the time",
        machine,
        limit=STARVING_LIMIT,
        details={"samples": executors.samples, "executors": executors.workers},
    )
    yield Measurement(
        "bindings_run_twice",
        sum(count > 1 for count in runs.values()),
        "bindings",
        machine,
        limit=0,
        by_clock=False,
        details={"runs": sum(runs.values())},
    )
    yield Measurement("flows_due_at_once_done", done, "s", machine, details={"flows_per_second": FOLLOWERS / done})


def _followers(node: Node) -> Sequence[DatasetID]:
    admin = node.auth.admin_caller()
    aliases = [DatasetAlias.parse(f"kamu/{follower(number)}") for number in range(FOLLOWERS)]
    return [node.datasets.resolve(admin, alias).id for alias in aliases]


def _queued(node: Node, since: Timestamp) -> int:
    """Flows that start at once, or did."""
    with node.database.reading() as tx:
        return _count(tx, flows.c.created_at >= since, flows.c.scheduled_at <= node.clock.now())


def _ended(node: Node, since: Timestamp) -> int:
    with node.database.reading() as tx:
        return _count(tx, flows.c.finished_at >= since, flows.c.created_at >= since)


def _count(tx: Transaction, *conditions: object) -> int:
    return int(tx.execute(select(func.count()).select_from(flows).where(*conditions)).scalar_one())  # type: ignore[arg-type] # all are conditions


def _check(node: Node, followers: Sequence[DatasetID], since: Timestamp) -> Mapping[str, int]:
    """Each follower had one flow, which succeeded, and holds the records once; tells how many runs each had."""
    with node.database.reading() as tx:
        query = select(flows.c.dataset_id, flows.c.outcome).where(flows.c.created_at >= since)
        told = [(row.dataset_id, row.outcome) for row in tx.execute(query)]
        tried = select(flows.c.dataset_id).join(attempts, attempts.c.flow_id == flows.c.id)
        runs = Counter(map(str, tx.execute(tried.where(flows.c.created_at >= since)).scalars()))
        records = {StatisticsStore().get(tx, dataset).records for dataset in followers}
    wanted = Counter((dataset, OutcomeKind.SUCCESS.value) for dataset in followers)
    expect("flows that went wrong, or twice", found=sorted(map(str, Counter(told) - wanted)), wanted=[])
    expect("flows that are missing", found=sorted(map(str, wanted - Counter(told))), wanted=[])
    expect("records", found=records, wanted={2 * RECORDS})
    return runs
