"""Datasets to verify: a root of many slices and a derivative of it, made once and kept in `.bench/`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.verify.model import VerificationReport
from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.node import Node, open_node
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, MetadataEvent, SetDataSchema
from kamu_assets.odf.identity import DatasetAlias, DatasetKind
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import data_key
from tests.bench import data
from tests.bench.peers.floor import SLICE_SCHEMA
from tests.bench.subject import expect
from tests.support.manifests import a_manifest, derivative

EVENTS, AMOUNTS = DatasetAlias.parse("kamu/events"), DatasetAlias.parse("kamu/amounts")
QUERY = "select event_time, id, symbol, price * qty as amount from events where price > 50"
INDEX = "slices.json"
_SLICES = 10
_MANIFESTS = (a_manifest("events", "Root"), derivative("amounts", QUERY, "events"))


@dataclass(frozen=True, slots=True)
class Verified:
    """A dataset of a node whose workers are warm."""

    node: Node
    dataset: DatasetAlias


@contextmanager
def ready_to_verify(_: Path, home: Path, dataset: DatasetAlias) -> Iterator[Verified]:
    with open_node(load_settings(home)) as node:
        assert node.coordinator
        node.verify_pool.warm_up(os.cpu_count() or 1)
        yield Verified(node, dataset)


def verify(ready: Verified) -> VerificationReport:
    return ready.node.coordinator.verify(ready.node.auth.admin_caller(), ready.dataset)


def check_report(report: VerificationReport, *, slices: int, replays: int) -> None:
    expect("faults", found=report.faults, wanted=())
    expect("slices", found=report.counts.slices, wanted=slices)
    expect("results", found=report.counts.replays, wanted=replays)


def kept_home(rows: int) -> Path:
    """A node with both datasets; `slices.json` in it lists files and hashes for who does not know nodes."""
    home = data.FOLDER / f"verify-{rows}"
    if not home.exists():
        unfinished = home.with_name(f"{home.name}.{os.getpid()}")
        _make(unfinished, rows)
        unfinished.replace(home)
    return home


def _make(home: Path, rows: int) -> None:
    shutil.rmtree(home, ignore_errors=True)
    with open_node(load_settings(home)) as node:
        caller = node.auth.admin_caller()
        for manifest in _MANIFESTS:
            node.datasets.create_from_snapshot(caller, manifest)
        for number in range(_SLICES):
            _add(node, number * rows // _SLICES, rows // _SLICES)
            node.coordinator.pull(caller, AMOUNTS)
        index = {str(alias.name): _listed(node, alias) for alias in (EVENTS, AMOUNTS)}
        (home / INDEX).write_text(json.dumps(index))


def _add(node: Node, start: int, count: int) -> None:
    entry = _entry(node, EVENTS)
    chain = node.chains.state(entry.id)
    path = node.volumes.staging(DatasetKind.ROOT) / f"events-{start}"
    stats = write_slice(path, SLICE_SCHEMA, [_rows(start, count)])
    interval = OffsetInterval(start=start, end=start + count - 1)
    new = NewSlice(path, stats.physical_hash, stats.logical_hash, interval, stats.size)
    event = AddData(prev_offset=chain.last_offset, new_data=new.data_slice, new_watermark=stats.max_event_time)
    events: list[MetadataEvent] = [event]
    if chain.schema is None:
        events.insert(0, SetDataSchema(schema_=from_arrow(SLICE_SCHEMA)))
    now = node.clock.now()
    node.committer.commit(entry.id, expected_head=chain.head, events=events, files=[new], system_time=now)


def _rows(start: int, count: int) -> pa.RecordBatch:
    (batch,) = data.events(count, start=start).combine_chunks().to_batches()
    system = {
        "offset": pa.array(np.arange(start, start + count)),
        "op": pa.array(np.zeros(count, np.int32)),
        "system_time": pa.array(np.full(count, data.START_MILLIS), data.MILLIS),
    }
    columns = [system[name] if name in system else batch.column(name) for name in SLICE_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, schema=SLICE_SCHEMA)


def _listed(node: Node, alias: DatasetAlias) -> list[dict[str, str]]:
    entry = _entry(node, alias)
    store = node.volumes.for_kind(entry.kind)
    slices = node.chains.slices(entry.id, after=None, until=node.chains.head(entry.id))
    return [
        {
            "path": str(Path(store.location(data_key(entry.id, each.physical_hash))).relative_to(node.settings.home)),
            "physical": each.physical_hash.digest.hex(),
            "logical": each.data_slice.logical_hash.digest.hex(),
        }
        for each in slices
    ]


def _entry(node: Node, alias: DatasetAlias) -> DatasetEntry:
    return node.datasets.resolve(node.auth.admin_caller(), alias)
