"""Pushes from many threads: one block for those that came together, everybody gets the own answer."""

import io
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    IngestError,
    NotRootError,
    PushSourceNotFoundError,
    TypeMismatchError,
    UnsupportedMediaTypeError,
)
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.errors import DeniedError, KamuError
from kamu_assets.odf.dataset import AddData
from kamu_assets.storage.layout import data_key
from tests.support.coordination import InThisProcess, Req, Res, a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.manifests import APPEND, LEDGER, derivative, pushed_root, reading
from tests.support.waiting import wait_until

READ = reading("event_time TIMESTAMP", "id BIGINT")


class Gate(InThisProcess):
    """Lets the first job wait until others have queued up behind it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.jobs = 0

    def run(self, job: Callable[[Req], Res], request: Req, **_: Any) -> Res:
        self.jobs += 1
        if self.jobs == 1:
            self.entered.set()
            assert self.open.wait(20)
        return super().run(job, request)


def a_root(heart: Heart, merge: str = APPEND, name: str = "events") -> DatasetEntry:
    return heart.datasets.create_from_snapshot(ADMIN, pushed_root(name, READ, merge=merge))


def ndjson(*ids: int, day: int = 1) -> bytes:
    return b"".join(b'{"event_time": "2024-01-%02dT00:00:00Z", "id": %d}\n' % (day, number) for number in ids)


def ids_of(heart: Heart, entry: DatasetEntry) -> list[int]:
    store = heart.volumes.for_kind(entry.kind)
    head = heart.chains.head(entry.id)
    found: list[int] = []
    for part in heart.chains.slices(entry.id, after=None, until=head):
        table = pq.read_table(store.location(data_key(entry.id, part.physical_hash)))
        assert table["offset"].to_pylist() == list(range(len(found), len(found) + len(table)))
        found += table["id"].to_pylist()
    return found


def data_blocks(heart: Heart, entry: DatasetEntry) -> int:
    blocks = heart.chains.blocks(entry.id)
    return sum(isinstance(found.block.event, AddData) for found in blocks)


class Fragile(Gate):
    """Loses its worker over some inputs."""

    def run(self, job: Callable[[Req], Res], request: Req, **_: Any) -> Res:
        if b"poison" in repr(request).encode():
            raise WorkerDiedError("engine", "killed by signal 9")
        return super().run(job, request)


def push_together(
    heart: Heart, entry: DatasetEntry, tmp_path: Path, bodies: list[bytes], gate: Gate | None = None
) -> list[object]:
    """The first push holds the door; the others arrive in order while it is held."""
    gate = gate or Gate()
    coordinator = a_coordinator(heart, base=tmp_path, pool=gate)

    def push(body: bytes) -> object:
        try:
            return coordinator.push(ADMIN, entry.id, PushData(body, f"push of {len(body)} bytes"))
        except KamuError as error:
            return error

    with ThreadPoolExecutor(len(bodies)) as threads:
        first = threads.submit(push, bodies[0])
        assert gate.entered.wait(20)
        others = []
        for place, body in enumerate(bodies[1:], start=1):
            others.append(threads.submit(push, body))
            wait_until(partial(_are_waiting, coordinator, place))
        gate.open.set()
        return [one.result(60) for one in (first, *others)]


def _are_waiting(coordinator: Coordinator, pushes: int) -> bool:
    return sum(len(lane.waiting) for lane in coordinator._queue._lanes.values()) == pushes


def test_pushes_that_wait_share_one_block_in_order_of_arrival(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)

    results = push_together(heart, entry, tmp_path, [ndjson(1), ndjson(2, 3), ndjson(4), ndjson(5)])

    assert [result.records for result in results] == [1, 2, 1, 1]  # type: ignore[attr-defined] # all are results
    assert ids_of(heart, entry) == [1, 2, 3, 4, 5]
    assert data_blocks(heart, entry) == 2


def test_a_bad_push_is_refused_alone(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)

    first, good, bad, last = push_together(
        heart, entry, tmp_path, [ndjson(1), ndjson(2), b'{"id": "many"}\n', ndjson(3)]
    )

    assert isinstance(bad, TypeMismatchError)
    assert 'line 1, column `id`: "many" is not a valid BIGINT' in str(bad)
    assert [getattr(one, "records", None) for one in (first, good, last)] == [1, 1, 1]
    assert ids_of(heart, entry) == [1, 2, 3]


def test_a_push_that_kills_the_worker_hurts_no_other(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    bodies = [ndjson(1), ndjson(2), b'{"id": 3, "x": "poison"}', ndjson(4)]

    *good, last = push_together(heart, entry, tmp_path, bodies, Fragile())

    assert isinstance(good[2], WorkerDiedError)
    assert getattr(last, "records", None) == 1
    assert ids_of(heart, entry) == [1, 2, 4]


def test_rows_of_one_push_stay_together_and_are_sorted_among_themselves(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    late_then_early = ndjson(11, day=5) + ndjson(10, day=4)

    push_together(heart, entry, tmp_path, [ndjson(1), late_then_early, ndjson(20, day=2)])

    assert ids_of(heart, entry) == [1, 10, 11, 20]


def test_a_ledger_sees_the_pushes_before_in_the_same_block(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart, LEDGER)

    results = push_together(heart, entry, tmp_path, [ndjson(1), ndjson(1, 2, 2), ndjson(2, 3), ndjson(3)])

    # Equal keys inside of one push stay, as they do when it is committed alone.
    assert ids_of(heart, entry) == [1, 2, 2, 3]
    assert [result.up_to_date for result in results] == [False, False, False, True]  # type: ignore[attr-defined] # ditto
    assert data_blocks(heart, entry) == 2


def test_a_shared_block_equals_commits_one_after_another(heart: Heart, tmp_path: Path) -> None:
    bodies = [ndjson(1), ndjson(2, 1, day=3), ndjson(3, day=2), ndjson(2)]
    shared, alone = a_root(heart, LEDGER, "shared"), a_root(heart, LEDGER, "alone")
    push_together(heart, shared, tmp_path, bodies)
    coordinator = a_coordinator(heart, base=tmp_path)

    for body in bodies:
        coordinator.push(ADMIN, alone.id, PushData(body))

    assert ids_of(heart, shared) == ids_of(heart, alone)
    assert heart.chains.state(shared.id).watermark == heart.chains.state(alone.id).watermark
    assert heart.chains.state(shared.id).schema == heart.chains.state(alone.id).schema


def test_an_acknowledged_push_is_committed(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    coordinator = a_coordinator(heart, base=tmp_path)

    result = coordinator.push(ADMIN, entry.id, PushData(ndjson(1, 2)))

    assert result.new_head == heart.chains.head(entry.id)
    assert (result.records, result.up_to_date) == (2, False)
    assert list(heart.volumes.root.staging().iterdir()) == []


def test_an_empty_push_brings_the_schema_once(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    coordinator = a_coordinator(heart, base=tmp_path)

    first, second = (coordinator.push(ADMIN, entry.id, PushData(b"")) for _ in range(2))

    assert (first.up_to_date, second.up_to_date) == (False, True)
    assert heart.chains.state(entry.id).schema is not None
    assert data_blocks(heart, entry) == 0


def test_a_refused_first_push_does_not_decide_the_schema(heart: Heart, tmp_path: Path) -> None:
    entry = heart.datasets.create_from_snapshot(ADMIN, pushed_root("free", reading()))

    results = push_together(heart, entry, tmp_path, [b'{"a": 1}\n{"a": 2', b'{"b": [{"c": 1}]}', b'{"d": 4}'])

    assert [isinstance(result, IngestError) for result in results] == [True, True, False]
    schema = heart.chains.state(entry.id).schema
    assert schema is not None
    assert schema.schema_ is not None
    assert schema.schema_.fields[-1].name == "d"


def test_every_media_type_is_read_with_the_schema_of_the_source(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    coordinator = a_coordinator(heart, base=tmp_path)
    array = json.dumps([{"event_time": "2024-01-01T00:00:00Z", "id": 2}]).encode()
    columnar = io.BytesIO()
    pq.write_table(pa.table({"id": [4], "event_time": ["2024-01-01"], "more": [0]}), columnar)

    coordinator.push(ADMIN, entry.id, PushData(b"event_time,id\n,1\n"), media_type="text/csv; charset=utf-8")
    coordinator.push(ADMIN, entry.id, PushData(array), media_type="application/json")
    coordinator.push(ADMIN, entry.id, PushData(ndjson(3)), media_type="application/x-ndjson")
    coordinator.push(ADMIN, entry.id, PushData(columnar.getvalue()), media_type="application/vnd.apache.parquet")

    assert ids_of(heart, entry) == [1, 2, 3, 4]


def test_csv_without_its_header_does_not_lose_a_row(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    coordinator = a_coordinator(heart, base=tmp_path)

    with pytest.raises(BadInputError, match=r"expected the header `event_time,id`.*header=absent"):
        coordinator.push(ADMIN, entry.id, PushData(b"2024-01-01,1\n"), media_type="text/csv")
    coordinator.push(ADMIN, entry.id, PushData(b"2024-01-01,1\n"), media_type="text/csv; header=absent")

    assert ids_of(heart, entry) == [1]


def test_a_body_in_a_file_gets_its_own_block(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    coordinator = a_coordinator(heart, base=tmp_path)
    body = tmp_path / "body"
    body.write_bytes(ndjson(*range(1000)))

    result = coordinator.push(ADMIN, entry.id, PushData(body))

    assert result.records == 1000


def test_refusals_before_any_byte_is_read(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart)
    head = heart.chains.head(entry.id)
    coordinator = a_coordinator(heart, base=tmp_path)

    with pytest.raises(PushSourceNotFoundError, match="Source 'nope' not found"):
        coordinator.push(ADMIN, entry.id, PushData(ndjson(1)), source_name="nope")
    with pytest.raises(UnsupportedMediaTypeError, match="text/csv"):
        coordinator.push(ADMIN, entry.id, PushData(ndjson(1)), media_type="text/html")
    with pytest.raises(DeniedError):
        coordinator.push(ANONYMOUS, entry.id, PushData(ndjson(1)))

    assert heart.chains.head(entry.id) == head


def test_a_derivative_takes_no_data(heart: Heart, tmp_path: Path) -> None:
    a_root(heart)
    text = derivative("doubled", "select event_time, id * 2 as id from events", "events")
    entry = heart.datasets.create_from_snapshot(ADMIN, text)

    with pytest.raises(NotRootError, match="derivative"):
        a_coordinator(heart, base=tmp_path).push(ADMIN, entry.id, PushData(ndjson(1)))


def test_another_process_that_commits_first_is_merged_with(heart: Heart, tmp_path: Path) -> None:
    entry = a_root(heart, LEDGER)
    other = a_coordinator(heart, base=tmp_path)

    class Slow(InThisProcess):
        jobs = 0

        def run(self, job: Callable[[Req], Res], request: Req, **_: Any) -> Res:
            result = super().run(job, request)
            self.jobs += 1
            if self.jobs == 1:
                other.push(ADMIN, entry.id, PushData(ndjson(1)))
            return result

    result = a_coordinator(heart, base=tmp_path, pool=Slow()).push(ADMIN, entry.id, PushData(ndjson(1, 2)))

    assert result.records == 1
    assert ids_of(heart, entry) == [1, 2]
