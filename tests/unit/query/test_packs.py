"""Small slices put together: answers stay the same, and fewer files are opened."""

import contextlib
import math
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.engines.sql.errors import QueryFailedError
from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.data import DataField, Float64Type, OffsetInterval, OptionType
from kamu_assets.odf.data_hash import logical_hash
from kamu_assets.odf.identity import DatasetAlias, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.tables.pack_plan import SliceFile, pieces_of
from kamu_assets.storage.layout import sidecar_folder
from tests.support.builders import START, a_schema
from tests.support.heart import KAMU, that_adds
from tests.unit.query.conftest import Reading

SMALL, LARGE = 4 << 10, 4 << 20
ALL = 'select "offset", level from log order by "offset"'


def slices(*sizes: int) -> list[SliceFile]:
    return [SliceFile(f"/data/{number}", size, 1) for number, size in enumerate(sizes)]


def packs_of(reading: Reading, entry: DatasetEntry) -> Path:
    return sidecar_folder(reading.heart.volumes.for_kind(entry.kind), entry.id) / "packs"


def files_read(reading: Reading, sql: str) -> set[str]:
    plan = reading.query(f"explain {sql}").data.decode()
    assert "/packs" not in plan
    return set(re.findall("f1620[0-9a-f]{64}", plan))


def queried_until_packed(reading: Reading, entry: DatasetEntry, *, packs: int) -> None:
    """Each query makes some; how many depends on how busy the machine is."""
    for _ in range(packs + 1):
        reading.rows(ALL)
    assert len(list(packs_of(reading, entry).iterdir())) == packs


@pytest.mark.parametrize(
    ("count", "pieces"), [(0, 0), (7, 7), (8, 1), (9, 2), (63, 14), (64, 1), (511, 21), (512, 1), (1_000, 13)]
)
def test_many_slices_are_few_pieces(count: int, pieces: int) -> None:
    found = pieces_of(slices(*[SMALL] * count))

    assert len(found) == pieces
    assert [each for piece in found for each in piece.slices] == slices(*[SMALL] * count)


def test_large_slices_stay_alone_and_part_their_neighbours() -> None:
    found = pieces_of(slices(*[SMALL] * 10, LARGE, *[SMALL] * 8, *[LARGE] * 9))

    assert [len(piece.slices) for piece in found] == [8, 1, 1, 1, 8] + [1] * 9


def test_more_slices_leave_packs_as_they_are() -> None:
    before, after = (pieces_of(slices(*[SMALL] * count)) for count in (75, 83))

    assert [piece.key for piece in after[:2]] == [piece.key for piece in before[:2]]
    assert before[0].key != before[1].key


def test_small_slices_are_read_from_packs(reading: Reading) -> None:
    entry = reading.stations("log", *[3] * 75)

    rows = reading.rows(ALL, limit=1_000)

    assert [row["offset"] for row in rows] == [row["level"] for row in rows] == list(range(225))
    queried_until_packed(reading, entry, packs=len([64, 8]))
    assert len(files_read(reading, ALL)) == len([64, 8, 1, 1, 1])
    assert reading.rows(ALL, limit=1_000) == rows


def test_what_comes_after_packs_is_seen(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 20)
    assert reading.rows("select count(*) as n from log") == [{"n": 40}]

    for number in range(21, 31):
        reading.add(entry, 2)
        assert reading.rows("select count(*) as n, max(level) as m from log") == [
            {"n": number * 2, "m": number * 2 - 1}
        ]


def test_the_past_is_read_from_packs_as_well(reading: Reading) -> None:
    entry = reading.stations("log")
    heads = [reading.add(entry, 2) for _ in range(30)]

    for sql, rows in (
        (f"as_of(log, '{heads[19]}')", 40),
        ("as_of(log, 16)", 17),
        ("log", 60),
    ):
        assert reading.rows(f"select count(*) as n, max(level) + 1 as m from {sql}") == [{"n": rows, "m": rows}]


@pytest.mark.parametrize("loss", ["removed", "cut", "changed"])
def test_a_lost_pack_is_made_again(reading: Reading, loss: str) -> None:
    entry = reading.stations("log", *[2] * 9)
    assert reading.rows("select sum(level) as s from log") == [{"s": 153}]
    (pack,) = packs_of(reading, entry).iterdir()
    content = pack.read_bytes()
    if loss == "removed":
        shutil.rmtree(pack.parent)
    else:
        pack.write_bytes(content[: len(content) // 2] if loss == "cut" else content[::-1])
        reading.add(entry, 1)

    for _ in range(2):
        assert reading.rows("select sum(level) as s from log where level < 18") == [{"s": 153}]


def test_a_pack_that_goes_bad_while_it_is_in_use_costs_one_query(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 8)
    assert reading.rows("select sum(level) as s from log") == [{"s": 120}]
    (pack,) = packs_of(reading, entry).iterdir()
    kept = pack.stat()
    pack.write_bytes(pack.read_bytes()[::-1])
    os.utime(pack, ns=(kept.st_atime_ns, kept.st_mtime_ns))

    with contextlib.suppress(QueryFailedError):
        for _ in range(2):
            reading.rows("select sum(level) as s from log")

    for _ in range(2):
        assert reading.rows("select sum(level) as s from log") == [{"s": 120}]


def test_packs_that_larger_ones_replace_are_removed_a_day_later(reading: Reading) -> None:
    entry = reading.stations("log", *[1] * 60)
    queried_until_packed(reading, entry, packs=len([8] * 7))
    for pack in packs_of(reading, entry).iterdir():
        os.utime(pack, (0, 0))

    for _ in range(4):
        reading.add(entry, 1)
    assert reading.rows("select count(*) as n from log") == [{"n": 64}]

    assert len(list(packs_of(reading, entry).iterdir())) == len([64])


def test_packs_of_the_past_and_of_now_leave_each_other_alone(reading: Reading) -> None:
    entry = reading.stations("log", *[1] * 64)
    queried_until_packed(reading, entry, packs=1)
    (whole,) = packs_of(reading, entry).iterdir()
    os.utime(whole, (0, 0))
    reading.add(entry, 1)
    reading.rows(ALL)

    for _ in range(2):
        assert reading.rows("select count(*) as n from as_of(log, 7)") == [{"n": 8}]

    assert whole in packs_of(reading, entry).iterdir()


def test_a_pack_goes_with_its_dataset(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 9)
    reading.rows(ALL)
    assert packs_of(reading, entry).is_dir()

    reading.heart.datasets.delete(Caller(KAMU), DatasetAlias.parse("kamu/log"))

    assert not packs_of(reading, entry).exists()


def test_slices_that_cannot_be_packed_are_read_themselves(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 9)
    packs_of(reading, entry).parent.mkdir(parents=True)
    packs_of(reading, entry).write_text("in the way")

    for _ in range(2):
        assert reading.rows("select sum(level) as s from log") == [{"s": 153}]


def test_a_tail_needs_no_packs(reading: Reading) -> None:
    entry = reading.stations("log", *[2] * 30)

    answer = reading.service.tail(ANONYMOUS, DatasetAlias.parse("kamu/log"), limit=40)

    assert [row["offset"] for row in answer.rows()] == list(range(20, 60))
    assert not packs_of(reading, entry).exists()


@pytest.mark.parametrize("count", [1, 9])
def test_nan_is_found_in_every_query(reading: Reading, count: int) -> None:
    # Bounds that others write into files leave it out.
    schema = a_schema(DataField(name="level", type=OptionType(inner=Float64Type())))
    entry = reading.heart.dataset("log", schema)
    assert schema.schema_ is not None
    for start in range(0, 3 * count, 3):
        _add_foreign(reading, entry, to_arrow(schema.schema_), start, [1.0, float("nan"), 1.0])

    for _ in range(3):
        assert reading.rows("select count(*) as n from log where level = 1.0") == [{"n": 2 * count}]


def test_what_must_come_out_the_same_again_is_read_from_slices(reading: Reading) -> None:
    # Sums of floating-point numbers depend on how rows are gathered, and packs come and go.
    schema = a_schema(DataField(name="level", type=OptionType(inner=Float64Type())))
    entry = reading.heart.dataset("log", schema)
    assert schema.schema_ is not None
    for start in range(0, 640, 10):
        levels = [math.sin(number) / 3 for number in range(start, start + 10)]
        _add_foreign(reading, entry, to_arrow(schema.schema_), start, levels)
    sql = "select sum(level) as s, avg(level) as a, stddev(level) as d from log"

    first = reading.query(sql, is_repeatable=True)
    assert not packs_of(reading, entry).exists()
    queried_until_packed(reading, entry, packs=1)
    again = reading.query(sql, is_repeatable=True)

    assert again.data == first.data


def _add_foreign(reading: Reading, entry: DatasetEntry, schema: pa.Schema, start: int, levels: list[float]) -> None:
    state = reading.heart.chains.state(entry.id)
    path = reading.heart.volumes.staging(DatasetKind.ROOT) / f"foreign-{start}"
    count = len(levels)
    columns = [range(start, start + count), [0] * count, [START.millis] * count, [START.millis] * count, levels]
    table = pa.table([pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema)
    pq.write_table(table, path)
    new = NewSlice(
        path=path,
        physical_hash=Multihash.sha3_256(path.read_bytes()),
        logical_hash=logical_hash(table),
        offset_interval=OffsetInterval(start=start, end=start + count - 1),
        size=path.stat().st_size,
    )
    reading.heart.committer.commit(
        entry.id, expected_head=state.head, events=[that_adds(new, state)], files=[new], system_time=START
    )
