"""Whatever happens to sidecars, ingest goes on and gives the same records."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha3_256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.session import open_bench
from kamu_assets.coordinator.ingest.sidecars import building, history, shelf, slices
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.state import LatestState
from kamu_assets.coordinator.ingest.sidecars.use import Contents, known_heads
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.datasets.errors import DamagedSliceError, DatasetNotFoundError
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.serde.yaml import event_from_json
from kamu_assets.storage.layout import data_key
from tests.support.coordination import InThisProcess, Req, Res, a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.manifests import APPEND, LEDGER, SNAPSHOT, UPSERT
from tests.support.merging_roots import Rows, a_root, a_root_of_sources, changes_of, push, sidecars_of

MERGES = (LEDGER, SNAPSHOT, UPSERT)
STEPS: tuple[Rows, ...] = (
    [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}],
    [{"id": 2, "v": "c"}, {"id": 3, "v": "d"}],
    [{"id": 1, "v": "e"}, {"id": 3, "v": "d"}, {"id": 4, "v": "f"}],
)
# Each brings something new to any strategy.
NEWS: tuple[Rows, ...] = tuple([{"id": number, "v": "a"}, {"id": number + 1, "v": "b"}] for number in range(6))
Damage = Callable[[Path], None]


def undisturbed(heart: Heart, coordinator: Coordinator, merge: str) -> list[Any]:
    """What becomes of the steps when nobody interferes."""
    entry = a_root(heart, merge, name="undisturbed")
    for rows in STEPS:
        push(coordinator, entry, rows)
    return changes_of(heart, entry)


def runs(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{building.RUN_SUFFIX}"))


def manifests(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def flip_in_runs(folder: Path) -> None:
    for path in runs(folder):
        content = bytearray(path.read_bytes())
        # Somewhere in the values: the schema comes first.
        place = content.index(b"ARROW1") + len(content) // 2
        content[place] ^= 1
        path.write_bytes(content)


def cut_runs(folder: Path) -> None:
    for path in runs(folder):
        os.truncate(path, path.stat().st_size // 2)


def empty_runs_of_the_same_size(folder: Path) -> None:
    """What a crash leaves of a file that was never synced."""
    for path in runs(folder):
        path.write_bytes(bytes(path.stat().st_size))


def remove_runs(folder: Path) -> None:
    for path in runs(folder):
        path.unlink()


def break_manifests(folder: Path) -> None:
    for path in manifests(folder):
        path.write_bytes(path.read_bytes()[:-5])


def change_manifests(folder: Path, **values: Any) -> None:
    for path in manifests(folder):
        found = json.loads(path.read_bytes().partition(b"\n")[2]) | values
        body = json.dumps(found).encode()
        path.write_bytes(sha3_256(body).hexdigest().encode() + b"\n" + body)


def another_version(folder: Path) -> None:
    change_manifests(folder, fingerprint="0" * 64)


def another_end(folder: Path) -> None:
    change_manifests(folder, next_offset=1)


def all_gone(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file_instead(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


DAMAGES: tuple[Damage, ...] = (
    flip_in_runs,
    cut_runs,
    empty_runs_of_the_same_size,
    remove_runs,
    break_manifests,
    another_version,
    another_end,
    all_gone,
    a_file_instead,
)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_costs_time_only(damage: Damage, merge: str, heart: Heart, coordinator: Coordinator) -> None:
    wanted = undisturbed(heart, coordinator, merge)
    entry = a_root(heart, merge)
    for rows in STEPS[:2]:
        push(coordinator, entry, rows)
    damage(sidecars_of(heart, entry))

    push(coordinator, entry, STEPS[2])

    assert changes_of(heart, entry) == wanted


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_no_flipped_bit_of_a_run_goes_unnoticed(place: int, heart: Heart, coordinator: Coordinator) -> None:
    wanted = undisturbed(heart, coordinator, SNAPSHOT)
    entry = a_root(heart, SNAPSHOT)
    for rows in STEPS[:2]:
        push(coordinator, entry, rows)
    for path in runs(sidecars_of(heart, entry)):
        content = bytearray(path.read_bytes())
        content[len(content) * place // 100] ^= 0x10
        path.write_bytes(content)

    push(coordinator, entry, STEPS[2])

    assert changes_of(heart, entry) == wanted


@pytest.mark.parametrize("merge", MERGES)
def test_a_sidecar_is_brought_up_to_date_from_newer_slices_alone(
    merge: str, heart: Heart, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = slices.slice_rows

    def counted(bench: Any, locations: Any, layout: Any) -> Any:
        read.append(len(locations))
        return real(bench, locations, layout)

    monkeypatch.setattr(history, "slice_rows", counted)
    entry = a_root(heart, merge)

    for rows in NEWS:
        push(coordinator, entry, rows)

    assert read == [1] * (len(NEWS) - 1)


@pytest.mark.parametrize("merge", MERGES)
def test_only_the_newest_sidecar_is_kept(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, merge)

    for rows in NEWS:
        before = heart.chains.head(entry.id)
        push(coordinator, entry, rows)

    folder = sidecars_of(heart, entry)
    assert [path.stem for path in manifests(folder)] == [str(before)]
    named = {run["name"] for run in json.loads(manifests(folder)[0].read_bytes().partition(b"\n")[2])["runs"]}
    assert {path.name for path in runs(folder)} == named


def test_many_pushes_leave_few_runs(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, UPSERT)

    for number in range(40):
        push(coordinator, entry, [{"id": number % 7, "v": str(number)}])

    assert len(runs(sidecars_of(heart, entry))) <= building.MAX_RUNS
    assert changes_of(heart, entry)[-1] == (3, 39 % 7, "39")


def test_a_sidecar_of_another_chain_is_not_believed(heart: Heart, coordinator: Coordinator) -> None:
    """Two datasets with equal columns: the sidecar of one in the place of the other's."""
    entry, other = a_root(heart, LEDGER), a_root(heart, LEDGER, name="other")
    for dataset, rows in ((entry, STEPS[0]), (other, [{"id": 9, "v": "z"}])):
        push(coordinator, dataset, rows)
        push(coordinator, dataset, rows)
    shutil.rmtree(sidecars_of(heart, entry))
    shutil.copytree(sidecars_of(heart, other), sidecars_of(heart, entry))

    push(coordinator, entry, STEPS[1])

    assert [id_ for _, id_, _ in changes_of(heart, entry)] == [1, 2, 3]


def test_a_new_column_makes_a_new_sidecar(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, SNAPSHOT)
    push(coordinator, entry, STEPS[0])
    push(coordinator, entry, STEPS[0])
    wider = {
        "kind": "SetDataSchema",
        "schema": {
            "fields": [
                {"name": "offset", "type": {"kind": "Int64"}},
                {"name": "op", "type": {"kind": "Int32"}},
                {"name": "system_time", "type": {"kind": "Timestamp", "unit": "Millisecond", "timezone": "UTC"}},
                {"name": "event_time", "type": {"kind": "Timestamp", "unit": "Millisecond", "timezone": "UTC"}},
                {"name": "id", "type": {"kind": "Option", "inner": {"kind": "Int64"}}},
                {"name": "v", "type": {"kind": "Option", "inner": {"kind": "String"}}},
                {"name": "w", "type": {"kind": "Option", "inner": {"kind": "Int64"}}},
            ]
        },
    }
    source = next(iter(heart.chains.state(entry.id).push_sources.values())).model_dump(mode="json", by_alias=True)
    source["read"]["ddlSchema"].append("w BIGINT")
    for event in (wider, source):
        heart.committer.commit(
            entry.id,
            expected_head=None,
            events=[event_from_json(event)],
            system_time=heart.clock.now(),
        )

    push(coordinator, entry, [{"id": 1, "v": "a", "w": 5}, {"id": 2, "v": "b"}])

    assert changes_of(heart, entry)[2:] == [(2, 1, "a"), (3, 1, "a")]


def test_a_full_disk_hinders_sidecars_only(
    heart: Heart, coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    wanted = {merge: undisturbed(heart, coordinator, merge) for merge in MERGES[:1]}
    monkeypatch.setattr(building, "write_run", full)
    monkeypatch.setattr(shelf.Shelf, "publish", full)
    entry = a_root(heart, LEDGER)

    for rows in STEPS:
        push(coordinator, entry, rows)

    assert changes_of(heart, entry) == wanted[LEDGER]
    assert not runs(sidecars_of(heart, entry))


def test_a_worker_that_dies_over_a_sidecar_is_tried_without(heart: Heart, tmp_path: Path) -> None:
    """Bytes that cannot be read below a mapped file kill the process."""

    class Dying(InThisProcess):
        deaths = 0

        def run(self, job: Callable[[Req], Res], request: Req, **_: Any) -> Res:
            use = getattr(request, "sidecar", None)
            if use is not None and use.base is not None:
                self.deaths += 1
                raise WorkerDiedError("engine", "SIGBUS")
            return super().run(job, request)

    pool = Dying()
    coordinator = a_coordinator(heart, base=tmp_path, pool=pool)
    entry = a_root(heart, LEDGER)

    for rows in STEPS:
        push(coordinator, entry, rows)

    assert pool.deaths == 1
    assert [id_ for _, id_, _ in changes_of(heart, entry)] == [1, 2, 3, 4]


@pytest.mark.parametrize("merge", MERGES)
def test_a_damaged_slice_is_named_and_not_the_input(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, merge)
    push(coordinator, entry, STEPS[0])
    (part,) = heart.chains.slices(entry.id, after=None, until=heart.chains.head(entry.id))
    path = Path(heart.volumes.for_kind(entry.kind).location(data_key(entry.id, part.physical_hash)))
    path.write_bytes(bytes(path.stat().st_size))

    with pytest.raises(DamagedSliceError, match=str(part.physical_hash)):
        push(coordinator, entry, STEPS[1])


@pytest.mark.parametrize("merge", MERGES)
def test_rows_that_are_out_of_order_in_a_slice_are_read_in_order(
    merge: str, heart: Heart, coordinator: Coordinator, tmp_path: Path
) -> None:
    """Other software may lay rows as it likes; offsets tell which is newer."""
    del coordinator, heart
    table = pa.table({"offset": [1, 0], "op": [3, 0], "id": [1, 1], "v": ["new", "old"]})
    path = tmp_path / "slice"
    pq.write_table(table, path)
    contents = Contents.KEYS if merge == LEDGER else Contents.STATE
    layout = Layout(contents, ("id",), table.schema, DatasetVocabulary())

    found = history.open_history(open_bench(IngestLimits(), tmp_path), layout, [str(path)], None)

    if contents is Contents.STATE:
        assert [row for batch in LatestState(found).not_found() for row in batch.to_pylist()] == [{"id": 1, "v": "new"}]
    assert sum(run.rows for run in found.runs) == 1


def test_two_nodes_take_turns_on_one_dataset(heart: Heart, tmp_path: Path) -> None:
    """Each finds the sidecar of the other, or none that is younger than its own."""
    coordinators = [a_coordinator(heart, base=tmp_path) for _ in range(2)]
    entry = a_root(heart, UPSERT)

    for number in range(10):
        push(coordinators[number % 2], entry, [{"id": 1, "v": str(number)}, {"id": number, "v": "x"}])

    newest = {id_: v for op, id_, v in changes_of(heart, entry) if op in (0, 3)}
    assert newest == {1: "9", **{number: "x" for number in range(10) if number != 1}}


def test_two_nodes_at_once_lose_nothing(heart: Heart, tmp_path: Path) -> None:
    """Each renews sidecars that the other one reads, replaces and removes."""
    coordinators = [a_coordinator(heart, base=tmp_path) for _ in range(2)]
    entry = a_root(heart, UPSERT)
    push(coordinators[0], entry, [{"id": 0, "v": "start"}])

    def work(node: int) -> int:
        found = [
            push(coordinators[node], entry, [{"id": 0, "v": f"{node}-{turn}"}, {"id": 1 + node, "v": str(turn)}])
            for turn in range(12)
        ]
        return sum(result.records for result in found)

    with ThreadPoolExecutor(2) as threads:
        records = sum(threads.map(work, range(2)))

    changes = changes_of(heart, entry)
    assert records == len(changes) - 1
    current: dict[int | None, str | None] = {}
    for op, id_, v in changes:
        # Whatever is taken back is what was there.
        assert current.pop(id_, None) == (v if op in (1, 2) else None), (op, id_, v)
        if op in (0, 3):
            current[id_] = v
    assert current[1] == current[2] == "11"


def test_sources_with_different_merges_share_history(heart: Heart, coordinator: Coordinator) -> None:
    sources = {"first": (APPEND, False), "second": (LEDGER, False), "third": (UPSERT, False)}
    entry = a_root_of_sources(heart, sources)

    push(coordinator, entry, [{"id": 1, "v": "a"}], source="first")
    push(coordinator, entry, [{"id": 1, "v": "b"}, {"id": 2, "v": "c"}], source="second")
    push(coordinator, entry, [{"id": 2, "v": "d"}, {"id": 1, "v": "a"}], source="third")
    push(coordinator, entry, [{"id": 1, "v": "e"}], source="first")
    push(coordinator, entry, [{"id": 1, "v": "f"}], source="third")

    assert changes_of(heart, entry) == [
        (0, 1, "a"),
        (0, 2, "c"),
        (2, 2, "c"),
        (3, 2, "d"),
        (0, 1, "e"),
        (2, 1, "e"),
        (3, 1, "f"),
    ]


def test_sidecars_go_with_their_dataset(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, LEDGER)
    for rows in STEPS:
        push(coordinator, entry, rows)
    folder = sidecars_of(heart, entry)
    assert folder.is_dir()

    heart.datasets.delete(ADMIN, entry.id)

    assert not folder.exists()
    with pytest.raises(DatasetNotFoundError):
        heart.chains.head(entry.id)


def test_nothing_in_a_dataset_folder_tells_of_sidecars(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, SNAPSHOT)
    for rows in STEPS:
        push(coordinator, entry, rows)

    volume = heart.volumes.for_kind(entry.kind)

    assert {info.key.split("/")[1] for info in volume.list(f"{entry.id.as_multibase}/")} == {
        "blocks",
        "data",
        "info",
        "refs",
    }
    assert known_heads(next(sidecars_of(heart, entry).iterdir()))


def test_the_doctor_removes_sidecars_that_nobody_needs(heart: Heart, coordinator: Coordinator) -> None:
    entry, gone = a_root(heart, LEDGER), a_root(heart, LEDGER, name="gone")
    for dataset in (entry, gone):
        for rows in STEPS:
            push(coordinator, dataset, rows)
    kept, stray = sidecars_of(heart, entry), sidecars_of(heart, gone)
    copy = stray.with_name("copy")
    shutil.copytree(stray, copy)
    heart.datasets.delete(ADMIN, gone.id)
    copy.rename(stray)

    heart.doctor.repair()

    assert kept.is_dir()
    assert not stray.exists()
