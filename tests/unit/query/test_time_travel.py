"""Datasets as they were: pinned to blocks, and `as_of` in SQL."""

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.errors import NotFoundError
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.errors import AmbiguousPinError, BlockNotFoundError, InvalidCallError, NotYetThereError
from kamu_assets.query.model import DatasetPin, PinnedDataset, QueryRequest
from tests.support.builders import a_dataset_id, a_hash
from tests.unit.query.conftest import Reading

MORNING, NOON, NIGHT = (Timestamp.parse(f"2024-05-01T{hour}:00:00Z") for hour in ("06", "12", "23"))
COUNT = "select count(*) as n from "


@pytest.fixture
def day(reading: Reading) -> tuple[DatasetEntry, list[Multihash]]:
    """Two rows in the morning, three at noon, one at night."""
    entry = reading.stations("log")
    heads = [reading.add(entry, count, at=at) for count, at in ((2, MORNING), (3, NOON), (1, NIGHT))]
    return entry, heads


Day = tuple[DatasetEntry, list[Multihash]]


def test_a_pinned_name_means_the_dataset_at_that_block(reading: Reading, day: Day) -> None:
    entry, (morning, noon, night) = day
    sql = f"{COUNT} foo"

    found = {
        block: reading.query(sql, datasets=(DatasetPin(entry.id, "foo", block),)) for block in (morning, noon, night)
    }
    newest = reading.query(sql, datasets=(DatasetPin(entry.id, "foo"),))

    assert [answer.rows() for answer in found.values()] == [[{"n": 2}], [{"n": 5}], [{"n": 6}]]
    assert newest.rows() == [{"n": 6}]
    assert found[noon].datasets == (PinnedDataset(entry.id, "foo", noon),)


def test_other_names_are_read_at_their_heads(reading: Reading, day: Day) -> None:
    entry, (morning, _, night) = day
    pins = (DatasetPin(entry.id, "kamu/log", morning),)

    answer = reading.query(f'select (select count(*) from "kamu/log") a, ({COUNT} log) b', datasets=pins)

    assert answer.rows() == [{"a": 2, "b": 6}]
    assert {(pinned.alias, pinned.block_hash) for pinned in answer.datasets} == {("kamu/log", morning), ("log", night)}


def test_a_pinned_block_that_is_not_there_is_not_found(reading: Reading, day: Day) -> None:
    entry, _ = day

    with pytest.raises(BlockNotFoundError, match=r"dataset kamu/log \(did:odf:\w+\) has no block f1620\w+: ") as caught:
        reading.query(f"{COUNT} foo", datasets=(DatasetPin(entry.id, "foo", a_hash("nowhere")),))

    assert isinstance(caught.value, NotFoundError)
    assert (caught.value.dataset_id, caught.value.block_hash) == (entry.id, a_hash("nowhere"))


def test_a_pinned_dataset_that_is_not_there_is_no_table(reading: Reading, day: Day) -> None:
    entry, (morning, *_) = day

    with pytest.raises(InvalidQueryError, match=r"table 'kamu.kamu.foo' not found"):
        reading.query(f"{COUNT} foo", datasets=(DatasetPin(a_dataset_id("gone"), "foo", morning),))
    with pytest.raises(AmbiguousPinError, match="pins the name 'foo' to different datasets"):
        reading.query("select 1", datasets=(DatasetPin(entry.id, "foo"), DatasetPin(a_dataset_id("gone"), "foo")))


@pytest.mark.parametrize(
    ("point", "rows"),
    [
        ("'{noon}'", 5),
        ("0", 1),
        ("1", 2),
        ("3", 4),
        ("1000", 6),
        ("'2024-05-01T06:00:00Z'", 2),
        ("'2024-05-01T14:00:00+02:00'", 5),
        ("'2024-05-01T11:59:59.999Z'", 2),
        ("timestamp '2024-05-01T12:00:00'", 5),
        ("timestamp '2024-05-01T12:00:00' - interval '1 second'", 2),
        ("date '2024-05-02'", 6),
        ("now()", 6),
    ],
)
@pytest.mark.parametrize("name", ['"kamu/log"', "'kamu/log'", "`kamu/log`", "log", 'kamu.kamu."kamu/log"', "'{id}'"])
def test_as_of_reads_what_was_there_then(reading: Reading, day: Day, name: str, point: str, rows: int) -> None:
    entry, (_, noon, _) = day

    (row,) = reading.rows(f"{COUNT} as_of({name.format(id=entry.id)}, {point.format(noon=noon)})")

    assert row == {"n": rows}


def test_a_state_can_be_compared_with_another(reading: Reading, day: Day) -> None:
    entry, (morning, _, night) = day

    answer = reading.query(
        f"select l.level from log l left anti join as_of('log', '{morning}') a using (station) order by 1",
    )

    assert [row["level"] for row in answer.rows()] == [2, 3, 4, 5]
    assert {(pinned.id, pinned.alias, pinned.block_hash) for pinned in answer.datasets} == {
        (entry.id, "log", morning),
        (entry.id, "log", night),
    }


def test_an_answer_can_be_had_again_after_more_data_has_come(reading: Reading, day: Day) -> None:
    entry, _ = day
    sql = f"select ({COUNT} log) a, ({COUNT} as_of('log', '2024-05-01T12:00:00Z')) b, ({COUNT} as_of(log, now())) c"
    first = reading.query(sql)

    reading.add(entry, 9, at=NIGHT)
    again = reading.query(
        sql, datasets=tuple(DatasetPin(pinned.id, pinned.alias, pinned.block_hash) for pinned in first.datasets)
    )

    assert again.data == first.data == b'[{"a":6,"b":5,"c":6}]'
    assert again.datasets == first.datasets
    assert reading.query(sql).data == b'[{"a":15,"b":5,"c":15}]'


def test_a_point_before_the_dataset_was_there_is_not_found(reading: Reading, day: Day) -> None:
    with pytest.raises(NotYetThereError, match="dataset kamu/log has no block as of 1999-12-31T00:00:00Z: its first"):
        reading.query(f"{COUNT} as_of('log', '1999-12-31T00:00:00Z')")
    with pytest.raises(BlockNotFoundError):
        reading.query(f"{COUNT} as_of('log', '{a_hash('nowhere')}')")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("as_of('log')", "as_of('account/name', <block hash, offset or time>) takes 2 arguments, got 1"),
        ("as_of('log', 'yesterday')", "the point must be the hash of a block (f1620…), an offset from 0 on, or a time"),
        ("as_of('log', -1)", "or a time such as '2024-01-31T12:00:00Z', got '-1'"),
        ("as_of('log', 1.5)", "got '1.5'"),
        ("as_of('log', null)", "the point must be"),
        ("as_of('log', true)", "the point must be"),
        ("as_of(5, 5)", "the dataset must be a name in quotes, got '5'"),
        ("to_table()", "to_table('account/name') takes 1 argument, got 0"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(reading: Reading, day: Day, call: str, message: str) -> None:
    with pytest.raises(InvalidCallError) as caught:
        reading.query(f"{COUNT} {call}")

    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_as_of_an_unknown_dataset_is_no_table(reading: Reading) -> None:
    for name in ("kamu/nope", "not a name", ""):
        with pytest.raises(InvalidQueryError, match=f"^table 'kamu.kamu.{name}' not found$"):
            reading.query(f"{COUNT} as_of('{name}', 0)")


def test_a_dataset_before_its_first_data_is_an_empty_table(reading: Reading) -> None:
    entry = reading.stations("log")
    seed = next(reading.heart.chains.blocks(entry.id, newest_first=False)).block_hash
    reading.add(entry, 2, at=NOON)

    assert reading.rows(f"{COUNT} as_of('log', '{seed}')") == [{"n": 0}]
    assert reading.service.query(ANONYMOUS, QueryRequest(f"select * from as_of('log', '{seed}')")).columns == ()
