"""Block index and sums on every database."""

from __future__ import annotations

from dataclasses import replace

from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.recount import recount
from kamu_assets.datasets.chains.statistics import StatisticsStore, extend
from kamu_assets.datasets.model import DatasetStatistics, IndexedBlock, IndexedData
from kamu_assets.odf.dataset import Checkpoint
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START, a_dataset_id, a_hash, a_slice

INDEX = BlockIndex()
STATISTICS = StatisticsStore()
A, B = a_dataset_id("a"), a_dataset_id("b")
FAR = Timestamp.parse("9999-12-31T23:59:59.999999999Z")


def a_row(number: int, kind: EventKind, subject: str | None = None, data: IndexedData | None = None) -> IndexedBlock:
    if data is None and kind in {EventKind.ADD_DATA, EventKind.EXECUTE_TRANSFORM}:
        data = IndexedData(watermark=START)
    return IndexedBlock(number, a_hash(f"block {number}"), kind, subject, START, 100, data)


def test_a_block_comes_back_as_it_was(database: Database) -> None:
    checkpoint = Checkpoint(physical_hash=a_hash("checkpoint"), size=7)
    rows = [
        a_row(0, EventKind.SEED),
        a_row(1, EventKind.ADD_DATA, "http", IndexedData(a_slice(), checkpoint, START, FAR)),
        a_row(2, EventKind.EXECUTE_TRANSFORM, data=IndexedData()),
        a_row(3, EventKind.ADD_PUSH_SOURCE, "device"),
    ]

    with database.transaction() as tx:
        INDEX.add(tx, A, rows)

    with database.reading() as tx:
        assert INDEX.all(tx, A) == rows
        assert INDEX.all(tx, B) == []


def test_the_newest_of_each_kind_and_source_makes_the_state(database: Database) -> None:
    rows = [
        a_row(0, EventKind.SEED),
        a_row(1, EventKind.ADD_PUSH_SOURCE, "first"),
        a_row(2, EventKind.ADD_PUSH_SOURCE, "second"),
        a_row(3, EventKind.ADD_PUSH_SOURCE, "first"),
        a_row(4, EventKind.SET_INFO),
        a_row(5, EventKind.ADD_DATA, "http"),
        a_row(6, EventKind.ADD_DATA),
        a_row(7, EventKind.SET_INFO),
        a_row(8, EventKind.ADD_DATA),
    ]
    with database.transaction() as tx:
        INDEX.add(tx, A, rows)
        INDEX.add(tx, B, [a_row(9, EventKind.SET_LICENSE)])

    with database.reading() as tx:
        numbers = [row.sequence_number for row in INDEX.newest_by_kind(tx, A)]

    assert numbers == [0, 2, 3, 5, 7, 8]


def test_pages_go_both_ways(database: Database) -> None:
    with database.transaction() as tx:
        INDEX.add(tx, A, [a_row(number, EventKind.SET_INFO) for number in range(5)])

    with database.reading() as tx:
        newest = INDEX.page(tx, A, newest_first=True, limit=2)
        rest = INDEX.page(tx, A, newest_first=True, start=2)
        oldest = INDEX.page(tx, A, newest_first=False, start=1, limit=2)

    assert [row.sequence_number for row in newest] == [4, 3]
    assert [row.sequence_number for row in rest] == [2, 1, 0]
    assert [row.sequence_number for row in oldest] == [1, 2]


def test_data_between_two_blocks_excludes_the_first_and_includes_the_last(database: Database) -> None:
    kinds = [EventKind.SEED, EventKind.ADD_DATA, EventKind.SET_INFO, EventKind.ADD_DATA, EventKind.ADD_DATA]
    with database.transaction() as tx:
        INDEX.add(tx, A, [a_row(number, kind) for number, kind in enumerate(kinds)])

    with database.reading() as tx:
        assert INDEX.sequence_of(tx, A, a_hash("block 3")) == 3
        assert INDEX.sequence_of(tx, A, a_hash("nothing")) is None
        between = INDEX.data_between(tx, A, after=1, until=3)

    assert [row.sequence_number for row in between] == [3]


def test_sums_come_back_as_they_were(database: Database) -> None:
    checkpoint = Checkpoint(physical_hash=a_hash(), size=7)
    rows = [
        a_row(0, EventKind.SEED),
        a_row(1, EventKind.ADD_DATA, data=IndexedData(a_slice(records=3), None, None, START)),
        a_row(2, EventKind.ADD_DATA, data=IndexedData(a_slice(start=3, records=2), checkpoint, START, FAR)),
        a_row(3, EventKind.SET_INFO),
    ]
    expected = DatasetStatistics(
        blocks=4,
        slices=2,
        records=5,
        data_size=2_000,
        checkpoints_size=7,
        last_offset=4,
        watermark=FAR,
        updated_at=START,
        pulled_at=START,
    )

    with database.transaction() as tx:
        STATISTICS.save(tx, A, extend(DatasetStatistics(), rows))
        STATISTICS.save(tx, A, extend(DatasetStatistics(), rows))

    with database.reading() as tx:
        assert STATISTICS.get(tx, A) == expected
        assert STATISTICS.all(tx) == {A: expected}
        assert STATISTICS.get(tx, B) == DatasetStatistics()


def test_sums_grow_in_the_database_as_they_do_in_memory(database: Database) -> None:
    rows = [
        a_row(0, EventKind.SEED),
        a_row(
            1, EventKind.ADD_DATA, data=IndexedData(a_slice(), Checkpoint(physical_hash=a_hash("c"), size=7), None, FAR)
        ),
        replace(a_row(2, EventKind.SET_INFO), system_time=FAR),
        a_row(3, EventKind.ADD_DATA, data=IndexedData(watermark=START)),
        a_row(4, EventKind.ADD_DATA, data=IndexedData(a_slice(), watermark=None)),
        a_row(5, EventKind.SET_LICENSE),
    ]
    with database.transaction() as tx:
        STATISTICS.save(tx, B, DatasetStatistics(blocks=3))
        for end in range(len(rows)):
            STATISTICS.add(tx, A, rows[end : end + 1])
            assert STATISTICS.get(tx, A) == extend(DatasetStatistics(), rows[: end + 1])
        STATISTICS.add(tx, A, rows)

    with database.reading() as tx:
        assert STATISTICS.get(tx, A) == extend(DatasetStatistics(), [*rows, *rows])
        assert STATISTICS.get(tx, B) == DatasetStatistics(blocks=3)


def test_a_chain_that_is_cut_is_counted_as_it_was(database: Database) -> None:
    checkpoint = Checkpoint(physical_hash=a_hash("checkpoint"), size=7)
    rows = [
        a_row(0, EventKind.SEED),
        a_row(1, EventKind.ADD_DATA, data=IndexedData(a_slice(), checkpoint, None, START)),
        a_row(2, EventKind.SET_INFO),
        a_row(3, EventKind.ADD_DATA, data=IndexedData(watermark=FAR)),
        a_row(4, EventKind.ADD_DATA, data=IndexedData(a_slice(), None, FAR, None)),
        a_row(5, EventKind.SET_INFO),
    ]
    with database.transaction() as tx:
        INDEX.add(tx, A, rows)
        INDEX.add(tx, B, rows)

    for last in range(4, -1, -1):
        with database.transaction() as tx:
            INDEX.cut(tx, A, after=last)
        with database.reading() as tx:
            assert INDEX.all(tx, A) == rows[: last + 1]
            assert recount(tx, A) == extend(DatasetStatistics(), rows[: last + 1])
    with database.reading() as tx:
        assert recount(tx, B) == extend(DatasetStatistics(), rows)
        assert recount(tx, a_dataset_id("none")) == DatasetStatistics()
