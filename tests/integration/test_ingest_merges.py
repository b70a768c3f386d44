"""Stories of merges as users tell them, through the coordinator."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.ingest.errors import (
    IngestError,
    MissingColumnError,
    SystemColumnInInputError,
    TypeMismatchError,
)
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.storage.layout import data_key, dataset_folder
from tests.support.heart import ADMIN, Heart
from tests.support.manifests import APPEND, CHANGELOG, LEDGER, SNAPSHOT, UPSERT, polled_root, pushed_root, reading
from tests.support.merging_roots import Rows, a_root, a_root_of_sources, changes_of, data_blocks, push, rows_of
from tests.support.verifier.dataset import verify

MANY = 300_000
FIVE: Rows = [{"id": number, "v": str(number)} for number in range(5)]


@pytest.mark.parametrize("merge", [APPEND, LEDGER, SNAPSHOT])
def test_offsets_of_many_rows_have_no_gaps(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    """KD-07: +1 inside of slices and across them, whatever the order of the rows."""
    entry = a_root(heart, merge)
    shuffled = np.random.default_rng(7).permutation(MANY)

    for start in (0, MANY // 2):
        ids = shuffled + start
        table = pa.table({"id": ids, "v": pa.array(ids).cast(pa.string())})
        content = io.BytesIO()
        pq.write_table(table, content)
        coordinator.push(
            ADMIN, entry.id, PushData(content.getvalue(), "rows"), media_type="application/vnd.apache.parquet"
        )

    store, last = heart.volumes.for_kind(entry.kind), -1
    for part in heart.chains.slices(entry.id, after=None, until=heart.chains.head(entry.id)):
        offsets = pq.read_table(store.location(data_key(entry.id, part.physical_hash)), columns=["offset"])
        numbers = offsets["offset"].to_numpy()
        assert numbers[0] == part.offset_interval.start == last + 1
        assert bool(np.all(np.diff(numbers) == 1))
        last = int(numbers[-1])
        assert last == part.offset_interval.end
    assert last + 1 == {APPEND: 2 * MANY, LEDGER: MANY + MANY // 2, SNAPSHOT: 2 * MANY}[merge]
    assert coordinator.verify(ADMIN, entry.id).is_valid


@pytest.mark.parametrize(("merge", "rows", "new"), [(APPEND, 10, 5), (LEDGER, 5, 0), (SNAPSHOT, 5, 0), (UPSERT, 5, 0)])
def test_the_same_rows_twice(merge: str, rows: int, new: int, heart: Heart, coordinator: Coordinator) -> None:
    """CS-25: and the second answer tells how many of them were new."""
    entry = a_root(heart, merge)
    first = push(coordinator, entry, FIVE)

    second = push(coordinator, entry, FIVE)

    assert (first.records, second.records) == (5, new)
    assert second.up_to_date == (new == 0)
    assert len(rows_of(heart, entry)) == rows
    # A reader that shares no code with ours agrees.
    store = heart.volumes.for_kind(entry.kind)
    assert verify(Path(store.location(dataset_folder(entry.id)))).records == rows


def test_an_upsert_replaces_a_row_and_leaves_others_alone(heart: Heart, coordinator: Coordinator) -> None:
    """VC-06: one row per key, and one pair in the changelog."""
    entry = a_root(heart, UPSERT)
    push(coordinator, entry, [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])

    push(coordinator, entry, [{"id": 1, "v": "c"}])

    assert changes_of(heart, entry) == [(0, 1, "a"), (0, 2, "b"), (2, 1, "a"), (3, 1, "c")]


def test_two_rows_of_a_key_do_not_poison_a_snapshot(heart: Heart, coordinator: Coordinator) -> None:
    """VC-08: both are kept, as kamu does; the later one is the current row, and the next snapshot puts it right."""
    entry = a_root(heart, SNAPSHOT)
    push(coordinator, entry, [{"id": 7, "v": "first"}, {"id": 7, "v": "second"}])

    push(coordinator, entry, [{"id": 7, "v": "right"}])
    again = push(coordinator, entry, [{"id": 7, "v": "right"}])

    assert changes_of(heart, entry) == [
        (0, 7, "first"),
        (0, 7, "second"),
        (2, 7, "second"),
        (3, 7, "right"),
    ]
    assert again.up_to_date


@pytest.mark.parametrize("merge", [UPSERT, SNAPSHOT])
def test_what_arrives_last_counts_whatever_its_event_time(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    """VC-11: the order of arrival decides, the event time of the late row is kept, the watermark stays."""
    entry = a_root(heart, merge)
    push(coordinator, entry, [{"event_time": "2024-01-01T10:00:00Z", "id": 1, "v": "2"}])
    watermark = heart.chains.state(entry.id).watermark

    push(coordinator, entry, [{"event_time": "2024-01-01T09:00:00Z", "id": 1, "v": "1"}])

    assert changes_of(heart, entry) == [(0, 1, "2"), (2, 1, "2"), (3, 1, "1")]
    assert [row["event_time"].hour for row in rows_of(heart, entry)] == [10, 10, 9]
    assert heart.chains.state(entry.id).watermark == watermark


@pytest.mark.parametrize("merge", [LEDGER, SNAPSHOT, UPSERT])
def test_unchanged_data_adds_nothing(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    """VC-12: pushed five times, columns and rows in any order."""
    entry = a_root(heart, merge)
    push(coordinator, entry, FIVE)
    head = heart.chains.head(entry.id)

    for number in range(5):
        reordered = [{"v": row["v"], "id": row["id"]} for row in [*FIVE[number:], *FIVE[:number]]]
        assert push(coordinator, entry, reordered).up_to_date

    assert heart.chains.head(entry.id) == head


@pytest.mark.parametrize("merge", [LEDGER, SNAPSHOT])
def test_an_unchanged_file_polled_again_adds_no_rows(
    merge: str, heart: Heart, coordinator: Coordinator, tmp_path: Path
) -> None:
    """VC-12: the file is not read again; a file with a new date is, and leaves a block that says so, without rows."""
    path = tmp_path / "rows.csv"
    table = pa.table({"id": [1, 2, 3], "v": ["a", "b", "c"]})
    pacsv.write_csv(table, path)
    read = reading("id BIGINT", "v STRING", kind="Csv", options="header: true")
    root = polled_root("polled", f"{{kind: Url, url: 'file://{path}'}}", read, merge=merge)
    entry = heart.datasets.create_from_snapshot(ADMIN, root)
    assert isinstance(coordinator.pull(ADMIN, entry.id), Updated)

    for _ in range(4):
        assert isinstance(coordinator.pull(ADMIN, entry.id), UpToDate)
    pacsv.write_csv(table.take([2, 0, 1]), path)
    coordinator.pull(ADMIN, entry.id)

    assert len(rows_of(heart, entry)) == 3
    assert data_blocks(heart, entry) <= 2


def test_operations_travel_in_any_format(heart: Heart, coordinator: Coordinator) -> None:
    formats = {
        "text/csv": b"event_time,id,v,op\n,1,b,0\n,2,,1\n,3,c,0\n",
        "application/x-ndjson": b'{"id":1,"v":"b","op":0}\n{"id":2,"op":1}\n{"id":3,"v":"c","op":0}\n',
        "application/json": b'[{"id":1,"v":"b","op":0},{"id":2,"op":1},{"id":3,"v":"c","op":0}]',
    }

    for number, (media_type, content) in enumerate(formats.items()):
        entry = a_root(heart, UPSERT, name=f"events-{number}", op=True)
        push(coordinator, entry, [{"id": 1, "v": "a", "op": 0}, {"id": 2, "v": "x", "op": 3}])
        coordinator.push(ADMIN, entry.id, PushData(content, "rows"), media_type=media_type)

        assert changes_of(heart, entry)[2:] == [(2, 1, "a"), (3, 1, "b"), (1, 2, "x"), (0, 3, "c")]


def test_an_upsert_without_operation_is_dropped(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, UPSERT, op=True)

    push(coordinator, entry, [{"id": 1, "v": "a", "op": 0}, {"id": 2, "v": "b"}])

    assert changes_of(heart, entry) == [(0, 1, "a")]


@pytest.mark.parametrize(("value", "said"), [(4, "4"), (-1, "-1"), (None, "None")])
def test_a_changelog_takes_operations_only(
    value: int | None, said: str, heart: Heart, coordinator: Coordinator
) -> None:
    """kamu takes any number; readers of such a dataset would have to guess what it means."""
    entry = a_root(heart, CHANGELOG, op=True)
    head = heart.chains.head(entry.id)

    with pytest.raises(TypeMismatchError, match=f"record 2, column `op`: {said} is no operation"):
        push(coordinator, entry, [{"id": 1, "v": "a", "op": 0}, {"id": 2, "v": "b", "op": value}])

    assert heart.chains.head(entry.id) == head


@pytest.mark.parametrize("merge", [CHANGELOG, UPSERT])
def test_operations_in_words_are_refused(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    root = pushed_root("words", reading("op STRING", "id BIGINT"), merge=merge)
    entry = heart.datasets.create_from_snapshot(ADMIN, root)

    with pytest.raises(TypeMismatchError, match="`op` must be an integer"):
        coordinator.push(ADMIN, entry.id, PushData(b'{"op": "insert", "id": 1}\n', "rows"))


@pytest.mark.parametrize(
    ("merge", "error"),
    [
        (CHANGELOG, MissingColumnError),
        ("{kind: Ledger, primaryKey: [nowhere]}", MissingColumnError),
        ("{kind: Snapshot, primaryKey: [id, nowhere]}", MissingColumnError),
        ("{kind: UpsertStream, primaryKey: [nowhere]}", MissingColumnError),
        ("{kind: Ledger, primaryKey: []}", MissingColumnError),
        ("{kind: Snapshot, primaryKey: []}", MissingColumnError),
        ("{kind: UpsertStream, primaryKey: []}", MissingColumnError),
    ],
)
def test_missing_columns_are_named(
    merge: str, error: type[IngestError], heart: Heart, coordinator: Coordinator
) -> None:
    entry = a_root(heart, merge)

    with pytest.raises(error, match=r"op|nowhere|`primaryKey` is empty"):
        push(coordinator, entry, FIVE)


@pytest.mark.parametrize("merge", [APPEND, LEDGER, SNAPSHOT])
def test_strategies_that_set_operations_take_none(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, merge, op=True)

    with pytest.raises(SystemColumnInInputError, match="`op`"):
        push(coordinator, entry, [{"id": 1, "v": "a", "op": 0}])


def test_compared_columns_count_alone(heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, "{kind: Snapshot, primaryKey: [id], compareColumns: [event_time]}")
    push(coordinator, entry, [{"event_time": "2024-01-01T00:00:00Z", "id": 1, "v": "a"}])

    same = push(coordinator, entry, [{"event_time": "2024-01-01T00:00:00Z", "id": 1, "v": "b"}])
    push(coordinator, entry, [{"event_time": "2024-01-02T00:00:00Z", "id": 1, "v": "c"}])

    assert same.up_to_date
    # Upstream's engine loses the other half of the pair when nothing but the event time is compared.
    assert changes_of(heart, entry) == [(0, 1, "a"), (3, 1, "c")]


@pytest.mark.parametrize("merge", [SNAPSHOT, UPSERT, LEDGER, APPEND])
def test_pushes_at_once_end_as_if_they_had_come_in_turn(merge: str, heart: Heart, coordinator: Coordinator) -> None:
    entry = a_root(heart, merge)
    bodies: list[Rows] = [[{"id": 1, "v": str(number)}, {"id": number, "v": "x"}] for number in range(2, 12)]

    with ThreadPoolExecutor(len(bodies)) as threads:
        results = list(threads.map(lambda rows: push(coordinator, entry, rows), bodies))

    found = changes_of(heart, entry)
    assert sum(result.records for result in results) == len(found)
    if merge == APPEND:
        assert len(found) == 20
    elif merge == LEDGER:
        assert sorted(id_ or 0 for _, id_, _ in found) == list(range(1, 12))
    else:
        # A correction takes back what the record before it said.
        current: dict[int | None, str | None] = {}
        for op, id_, v in found:
            assert (op in (1, 2)) == (id_ in current and current[id_] == v), (op, id_, v)
            current.pop(id_, None) if op in (1, 2) else current.update({id_: v})
        assert len(current) == (2 if merge == SNAPSHOT else 11)


def test_changes_never_share_a_block(heart: Heart, coordinator: Coordinator) -> None:
    """Two pushes to a snapshot are two snapshots; a block of both would be neither."""
    entry = a_root_of_sources(heart, {"default": (SNAPSHOT, False)})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: push(coordinator, entry, [{"id": n, "v": "x"}]), range(4)))

    assert data_blocks(heart, entry) == 4
