"""`to_table`: the latest state of a dataset that keeps changes."""

import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.dataset import AddPushSource
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
    ReadStepNdJson,
)
from kamu_assets.query.errors import AmbiguousPrimaryKeyError, NoPrimaryKeyError
from kamu_assets.query.model import DatasetPin
from tests.unit.query.conftest import SCHEMA, Change, Reading

ADDED, GONE, FROM, TO = range(4)
BY_STATION = MergeStrategySnapshot(primary_key=("station",))


def changing(
    reading: Reading, *slices: list[Change], merges: tuple[MergeStrategy, ...] = (BY_STATION,)
) -> DatasetEntry:
    sources = [
        AddPushSource(source_name=f"source-{number}", read=ReadStepNdJson(), merge=merge)
        for number, merge in enumerate(merges)
    ]
    entry = reading.heart.dataset("log", SCHEMA, *sources)
    for rows in slices:
        reading.write(entry, rows)
    return entry


def test_the_latest_row_of_each_key_is_left(reading: Reading) -> None:
    # As recorded from kamu: one key is corrected, one is retracted, one comes later.
    changing(
        reading,
        [(ADDED, "a-1", 5), (ADDED, "b-2", 7)],
        [(FROM, "a-1", 5), (TO, "a-1", 4), (GONE, "b-2", 7), (ADDED, "c-3", None)],
    )

    answer = reading.query('select * from to_table("kamu/log") order by station', sort_keys=False)

    assert answer.columns == ("offset", "op", "system_time", "event_time", "station", "level")
    rows = [(row["offset"], row["op"], row["station"], row["level"]) for row in answer.rows()]
    assert rows == [(3, TO, "a-1", 4), (5, ADDED, "c-3", None)]
    assert [pinned.alias for pinned in answer.datasets] == ["kamu/log"]


@pytest.mark.parametrize("name", ['"kamu/log"', "'kamu/log'", "log", 'kamu.kamu."kamu/log"'])
def test_a_key_that_comes_back_is_there_again(reading: Reading, name: str) -> None:
    changing(reading, [(ADDED, "a", 1)], [(GONE, "a", 1)], [(ADDED, "a", 2)], [(ADDED, None, 3)])

    rows = reading.rows(f"select station, level from to_table({name}) order by level")

    assert rows == [{"level": 2, "station": "a"}, {"level": 3, "station": None}]


def test_a_state_of_the_past_is_that_of_its_block(reading: Reading) -> None:  # VC-13
    entry = changing(reading, [(ADDED, "a", 1)])
    before = reading.heart.chains.head(entry.id)
    reading.write(entry, [(FROM, "a", 1), (TO, "a", 2)])
    sql = "select level from to_table('foo')"

    then = reading.rows(sql, datasets=(DatasetPin(entry.id, "foo", before),))
    now = reading.rows(sql, datasets=(DatasetPin(entry.id, "foo"),))

    assert (then, now) == ([{"level": 1}], [{"level": 2}])


def test_what_a_query_asks_of_other_columns_is_asked_of_the_latest_rows(reading: Reading) -> None:
    changing(reading, [(ADDED, "a", 1), (ADDED, "b", 9)], [(FROM, "a", 1), (TO, "a", 2)])

    assert reading.rows("select station from to_table(log) where level = 1") == []
    assert reading.rows("select level from to_table(log) where station = 'a'") == [{"level": 2}]
    assert reading.rows("select count(*) as n from to_table(log)") == [{"n": 2}]


@pytest.mark.parametrize(
    "merge", [MergeStrategyLedger, MergeStrategySnapshot, MergeStrategyChangelogStream, MergeStrategyUpsertStream]
)
def test_every_merge_with_a_key_will_do(reading: Reading, merge: type[MergeStrategyLedger]) -> None:
    changing(reading, [(ADDED, "a", 1), (ADDED, "a", 2)], merges=(merge(primary_key=("station",)),))

    assert reading.rows("select level from to_table(log)") == [{"level": 2}]


def test_without_a_primary_key_there_is_no_table(reading: Reading) -> None:
    changing(reading, [(ADDED, "a", 1)], merges=(MergeStrategyAppend(),))
    reading.stations("keyless", 1)

    for name in ("log", "keyless"):
        with pytest.raises(NoPrimaryKeyError, match=f"dataset {name} has no primary key: to_table needs a source"):
            reading.query(f"select * from to_table('{name}')")


def test_sources_with_different_keys_are_told(reading: Reading) -> None:
    by_level = MergeStrategyLedger(primary_key=("level", "station"))
    changing(reading, [(ADDED, "a", 1)], merges=(BY_STATION, by_level))

    with pytest.raises(AmbiguousPrimaryKeyError, match=r"different primary keys \(station; level, station\)"):
        reading.query("select * from to_table('log')")


def test_calls_in_one_query_are_told_apart(reading: Reading) -> None:
    changing(reading, [(ADDED, "a", 1)])
    other = reading.heart.dataset(
        "other", SCHEMA, AddPushSource(source_name="default", read=ReadStepNdJson(), merge=BY_STATION)
    )
    reading.write(other, [(ADDED, "a", 2), (ADDED, "b", 3)])
    count = "select count(*) from to_table"

    assert reading.rows(f"select ({count}('log')) as x, ({count}('other')) as y") == [{"x": 1, "y": 2}]


def test_a_dataset_without_data_is_an_empty_table(reading: Reading) -> None:
    reading.nothing_written("new")
    changing(reading)

    assert reading.rows("select count(*) as n from to_table('new')") == [{"n": 0}]
    assert reading.query("select * from to_table('log')").num_records == 0
