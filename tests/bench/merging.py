"""Our side of merges: a node with history, copied for each run, and a file pushed into it until it is committed.

The worker has merged a few rows into another dataset before, as one of a node that is in use has; so have the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from kamu_assets.coordinator.results import PushResult
from kamu_assets.coordinator.service import PushData
from kamu_assets.node import Node, open_node
from kamu_assets.odf.dataset import AddData, DatasetKind
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import data_key
from tests.bench import data
from tests.bench.ingest import EVENTS
from tests.bench.merge_data import few
from tests.bench.subject import expect
from tests.support.manifests import pushed_root, reading

_OTHER = DatasetAlias.parse("kamu/other")
# Written once and never changed: runs of a node and the slices of a dataset.
_IMMUTABLE = ("data", "blocks", ".sidecars")


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a push."""

    node: Node
    result: PushResult


def build_history(home: Path, merge: str, files: Sequence[Path]) -> None:
    """A node whose dataset has taken these files one after another."""
    with open_node(load_settings(home)) as node:
        for alias in (EVENTS, _OTHER):
            node.datasets.create_from_snapshot(
                node.auth.admin_caller(), pushed_root(str(alias.name), reading(*data.DDL, kind="Parquet"), merge=merge)
            )
        for file in files:
            push(node, file)
        push(node, few(0), _OTHER)


@contextmanager
def with_history(folder: Path, *, home: Path) -> Iterator[Node]:
    """A copy of a node with history, its workers warm."""
    copy = folder / "home"
    shutil.copytree(home, copy, copy_function=_linked)
    with open_node(load_settings(copy)) as node:
        assert node.coordinator
        node.engine_pool.warm_up()
        push(node, few(1), _OTHER)
        yield node


def push(node: Node, file: Path, dataset: DatasetAlias = EVENTS) -> Merged:
    return Merged(node, node.coordinator.push(node.auth.admin_caller(), dataset, PushData(file, file.name)))


def check_operations(merged: Merged, wanted: dict[int, int]) -> None:
    """The new block has so many records of each operation, at offsets that follow the ones before."""
    table = pq.read_table(_newest_slice(merged.node))
    found = {int(entry["values"]): entry["counts"] for entry in table["op"].value_counts().to_pylist()}
    expect("operations", found=found, wanted=wanted)
    offsets = table["offset"].to_pylist()
    expect("offsets", found=offsets, wanted=list(range(offsets[0], offsets[0] + merged.result.records)))


def _newest_slice(node: Node) -> Path:
    entry = node.datasets.resolve(node.auth.admin_caller(), EVENTS)
    added = node.chains.state(entry.id).last_data
    assert isinstance(added, AddData)
    assert added.new_data is not None
    store = node.volumes.for_kind(DatasetKind.ROOT)
    return Path(store.location(data_key(entry.id, added.new_data.physical_hash)))


def _linked(source: str, target: str) -> None:
    if any(part in _IMMUTABLE for part in Path(source).parts):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
