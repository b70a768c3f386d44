"""The home of a node with 10,000 datasets that have triggers, made while no node runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kamu_assets.coordinator.service import PushData
from kamu_assets.definitions.process import CONSUMERS
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.triggers.rules import Cron, Reactive, Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.node import Node, open_node
from kamu_assets.odf.dataset import DatasetSnapshot, SetTransform
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.orchestration.instance import open_instance, prepare
from kamu_assets.orchestration.reports.restoring import MARK
from kamu_assets.settings import adapter_config, load_settings
from tests.bench.node import manifests
from tests.support.manifests import polled_root, reading

DATASETS = 10_000
# One root with a derivative that others do not hold up, and one with as many as become due at once.
PUSHED, FOLLOWED, SOURCE, FOLLOWERS = "pushed", "followed", "source", 1000
# Roots that poll a file, and one that polls a server.
POLLING, SLOW = 100, "slow"
_PAIRS = (DATASETS - FOLLOWERS - POLLING - 4) // 2
RECORDS = 10
NDJSON = "application/x-ndjson"
# No scheduled flow becomes due while the others are measured.
LATER = Cron("0 0 1 1 *")


def make_home(home: Path, *, slow_url: str) -> None:
    """As a node leaves it that was stopped: whoever follows the outbox has heard everything."""
    # Without syncing it is a burst.
    settings = load_settings(home, storage={"durability": "fast"})
    page = home / "page.ndjson"
    page.write_text(manifests.rows(0, RECORDS), encoding="utf-8")
    with open_node(settings) as node:
        node.datasets.create_all(node.auth.admin_caller(), list(_snapshots(page.as_uri(), slow_url)))
        _run_once(node)
        _set_triggers(node)
    config = adapter_config(settings)
    prepare(config)
    # There is no history to be given back to a new Dagster.
    with open_instance(config) as instance:
        instance.run_storage.set_cursor_values({MARK: "true"})


def follower(number: int) -> str:
    return f"follower{number:04d}"


def polling(number: int) -> str:
    return f"polling{number:03d}"


def _snapshots(page: str, slow_url: str) -> Iterator[DatasetSnapshot]:
    """Of each kind one manifest is read, and the others are like it."""
    root = parse_snapshot(manifests.root("one"))
    derivative = parse_snapshot(manifests.derivative("one", of=SOURCE))
    polled = parse_snapshot(_polled("one", page))
    yield from (_called(root, name) for name in (PUSHED, SOURCE))
    yield _computed(derivative, FOLLOWED, of=PUSHED)
    yield parse_snapshot(_polled(SLOW, slow_url))
    yield from (_computed(derivative, follower(number), of=SOURCE) for number in range(FOLLOWERS))
    yield from (_called(polled, polling(number)) for number in range(POLLING))
    for number in range(_PAIRS):
        yield _called(polled, f"root{number:04d}")
        yield _computed(derivative, f"derived{number:04d}", of=f"root{number:04d}")


def _polled(name: str, url: str) -> str:
    read = reading("event_time TIMESTAMP", "city STRING", "population BIGINT")
    return polled_root(name, f"{{kind: Url, url: '{url}'}}", read)


def _called(snapshot: DatasetSnapshot, name: str) -> DatasetSnapshot:
    return snapshot.model_copy(update={"name": DatasetAlias.parse(name)})


def _computed(snapshot: DatasetSnapshot, name: str, *, of: str) -> DatasetSnapshot:
    metadata = tuple(
        _reading_of(event, of) if isinstance(event, SetTransform) else event for event in snapshot.metadata
    )
    return _called(snapshot, name).model_copy(update={"metadata": metadata})


def _reading_of(event: SetTransform, of: str) -> SetTransform:
    inputs = tuple(each.model_copy(update={"dataset_ref": f"kamu/{of}"}) for each in event.inputs)
    return event.model_copy(update={"inputs": inputs})


def _run_once(node: Node) -> None:
    """Those that are measured have run before: a first run tells Dagster's servers of a schema, and they load it."""
    admin = node.auth.admin_caller()
    for name in (PUSHED, SOURCE):
        node.coordinator.push(admin, _alias(name), PushData(manifests.rows(0, RECORDS).encode()), media_type=NDJSON)
    computed = (FOLLOWED, *map(follower, range(FOLLOWERS)), *map(polling, range(POLLING)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda name: node.coordinator.pull(admin, _alias(name)), computed))


def _alias(name: str) -> DatasetAlias:
    return DatasetAlias.parse(f"kamu/{name}")


def _set_triggers(node: Node) -> None:
    with node.database.transaction() as tx:
        for entry in node.datasets.list(node.auth.admin_caller(), limit=DATASETS):
            type_ = FlowType.updating(entry.kind)
            trigger = Trigger(entry.id, type_, LATER if type_ is FlowType.INGEST else Reactive())
            TriggerStore().set(tx, trigger)
            node.flows.life.plan_next(tx, trigger.binding)
    with node.database.transaction() as tx:
        node.outbox.register(tx, *CONSUMERS)
        for consumer in CONSUMERS:
            node.outbox.advance(tx, consumer, node.outbox.last(tx))
