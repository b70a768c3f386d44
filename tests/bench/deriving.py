"""Our side of derivations: a root grows slice by slice, and a derivative follows each of them.

The slices are committed before the clock starts, and then shown to the derivative one by one: what counts is following.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.ingest.columns import describe_schema
from kamu_assets.coordinator.ingest.ingestion import new_slice
from kamu_assets.coordinator.results import Updated
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.node import Node, open_node
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, DatasetKind, SetDataSchema
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.settings import load_settings
from kamu_assets.storage.layout import data_key
from tests.bench.peers.followed import LATE_MILLIS, Followed, rate_rows, slice_rows
from tests.support.manifests import derivative, pushed_root, reading

_OUTPUT = DatasetAlias.parse("kamu/output")


@dataclass(frozen=True, slots=True)
class Part:
    """A slice that waits for its commit, and the watermark that comes with it."""

    new: NewSlice
    watermark: Timestamp


@dataclass(frozen=True, slots=True)
class Ready:
    """A derivative without data, and the states of the root that it is to follow."""

    node: Node
    caller: Caller
    events: DatasetEntry
    states: Sequence[ChainState]


@dataclass(frozen=True, slots=True)
class Derived:
    ready: Ready
    results: Sequence[object]


@dataclass(frozen=True, slots=True)
class _AsOf:
    """Chains as they were when a root had one of its states."""

    chains: Chains
    dataset: DatasetID
    shown: ChainState

    def state(self, dataset: DatasetID, *, tx: Transaction | None = None) -> ChainState:
        return self.shown if dataset == self.dataset else self.chains.state(dataset, tx=tx)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.chains, name)


@contextmanager
def ready_to_derive(
    folder: Path, *, engine: str, query: str, inputs: Sequence[str], rows: int, slices: int
) -> Iterator[Ready]:
    with open_node(load_settings(folder)) as node:
        caller, size = node.auth.admin_caller(), rows // slices
        tables = [slice_rows(number * size, size) for number in range(slices)]
        events = _root(node, "events", tables[0].schema)
        states = []
        for table in tables:
            part = _part(node, table)
            states.append(_commit(node, events, part))
        rates = rate_rows(rows)
        _commit(node, _root(node, "rates", rates.schema), _part(node, rates, end=part.watermark))
        _warm_up(node, engine)
        node.datasets.create_from_snapshot(caller, derivative("output", query, *inputs, engine=engine))
        yield Ready(node, caller, events, states)


def derive(ready: Ready) -> Derived:
    """Bring the derivative up to date after each slice."""
    results = []
    # Private, but a root that grows while the clock runs would be measured, too.
    inputs: Any = ready.node.coordinator._transforms._inputs
    for state in ready.states:
        inputs._chains = _AsOf(ready.node.chains, ready.events.id, state)
        results.append(ready.node.coordinator.pull(ready.caller, _OUTPUT))
    return Derived(ready, results)


def check_derived(derived: Derived, *, wanted: Followed) -> None:
    """The rows of all slices are those of one query over everything."""
    node = derived.ready.node
    entry = node.datasets.resolve(node.auth.admin_caller(), _OUTPUT)
    late = sum(result.late_rows for result in derived.results if isinstance(result, Updated))
    head = node.chains.head(entry.id)
    assert head is not None
    interval = node.chains.interval(entry.id, after=None, until=head)
    store = node.volumes.for_kind(DatasetKind.DERIVATIVE)
    paths = [Path(store.location(data_key(entry.id, found.physical_hash))) for found in interval.slices]
    wanted.check(pa.concat_tables(pq.read_table(path) for path in paths), late=late)


def _root(node: Node, name: str, schema: pa.Schema) -> DatasetEntry:
    entry = node.datasets.create_from_snapshot(node.auth.admin_caller(), pushed_root(name, reading(kind="Parquet")))
    described = SetDataSchema(schema_=describe_schema(schema, name=name))
    node.coordinator.commit_event(node.auth.admin_caller(), entry.id, described)
    return entry


def _part(node: Node, table: pa.Table, *, end: Timestamp | None = None) -> Part:
    path = node.volumes.staging(DatasetKind.ROOT) / f"{id(table)}"
    stats = write_slice(path, table.schema, table.to_batches())
    assert stats.max_event_time is not None
    return Part(new_slice(stats, path), end or Timestamp.from_millis(stats.max_event_time.millis - LATE_MILLIS))


def _warm_up(node: Node, engine: str) -> None:
    """A worker that has computed before, as in a node that runs."""
    node.engine_pool.warm_up()
    query = "select event_time, symbol from rates where rate > 100"
    warm = node.datasets.create_from_snapshot(
        node.auth.admin_caller(), derivative("warm", query, "rates", engine=engine)
    )
    node.coordinator.pull(node.auth.admin_caller(), warm.id)


def _commit(node: Node, entry: DatasetEntry, part: Part) -> ChainState:
    state = node.chains.state(entry.id)
    added = AddData(prev_offset=state.last_offset, new_data=part.new.data_slice, new_watermark=part.watermark)
    node.committer.commit(
        entry.id, expected_head=state.head, events=[added], files=[part.new], system_time=node.clock.now()
    )
    return node.chains.state(entry.id)
