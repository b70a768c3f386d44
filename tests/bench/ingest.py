"""Our side of ingest: one file, from a push to the committed block, by a node with a warm worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.coordinator.results import PushResult
from kamu_assets.coordinator.service import PushData
from kamu_assets.node import Node, open_node
from kamu_assets.odf.dataset import AddData, DatasetKind
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import data_key
from tests.bench import data
from tests.bench.peers.sliced import Sliced, check_slice
from tests.bench.subject import expect
from tests.support.manifests import pushed_root, reading

EVENTS = DatasetAlias.parse("kamu/events")


@dataclass(frozen=True, slots=True)
class Ready:
    """An empty dataset of a node whose workers are warm."""

    node: Node
    # What the source reads: Csv or NdJson.
    reader: str


@dataclass(frozen=True, slots=True)
class Pushed:
    ready: Ready
    result: PushResult


@contextmanager
def ready_for_csv(folder: Path) -> Iterator[Ready]:
    with _ready(folder, manifest("Csv", options="header: true")) as node:
        yield Ready(node, "Csv")


@contextmanager
def ready_for_ndjson(folder: Path) -> Iterator[Ready]:
    with _ready(folder, manifest("NdJson")) as node:
        yield Ready(node, "NdJson")


@contextmanager
def _ready(folder: Path, root: str) -> Iterator[Node]:
    # What a slice job imports in the node's own process is there once the coordinator is.
    with open_node(load_settings(folder)) as node:
        node.datasets.create_from_snapshot(node.auth.admin_caller(), root)
        assert node.coordinator
        node.engine_pool.warm_up()
        yield node


def push_file(ready: Ready, source: Path) -> Pushed:
    result = ready.node.coordinator.push(ready.node.auth.admin_caller(), EVENTS, PushData(source, source.name))
    return Pushed(ready, result)


def check_pushed(pushed: Pushed, rows: int, *, in_order: bool = True) -> None:
    """The head names a slice with these rows and true hashes."""
    expect("new records", found=pushed.result.records, wanted=rows)
    node = pushed.ready.node
    entry = node.datasets.resolve(node.auth.admin_caller(), EVENTS)
    added = node.chains.state(entry.id).last_data
    assert isinstance(added, AddData)
    assert added.new_data is not None
    expect("offsets", found=added.new_data.offset_interval.end + 1, wanted=rows)
    store = node.volumes.for_kind(DatasetKind.ROOT)
    path = Path(store.location(data_key(entry.id, added.new_data.physical_hash)))
    found = Sliced(
        path,
        rows,
        physical=added.new_data.physical_hash.digest.hex(),
        logical=added.new_data.logical_hash.digest.hex(),
    )
    check_slice(found, rows, in_order=in_order)


def manifest(kind: str, *, options: str = "") -> str:
    """A root that is pushed events in a format."""
    return pushed_root(str(EVENTS.name), reading(*data.DDL, kind=kind, options=options))
