import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.formats.rows import encode_rows
from kamu_assets.query.formats.values import json_values
from kamu_assets.query.model import DataFormat, UnknownFormatError
from kamu_assets.query.requests import AnswerShape

SHAPE = AnswerShape(0, 100, DataFormat.JSON_AOS, sort_keys=True, limit_bytes=1000)


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([2**63 - 1, None]), [2**63 - 1, None]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([True, None]), [True, None]),
        (pa.array([0.1, float("inf"), None]), [0.1, float("inf"), None]),
        (pa.array([0.1], pa.float32()), [0.1]),
        (pa.array([Decimal("1.25"), Decimal("-0.01"), None], pa.decimal128(10, 2)), ["1.25", "-0.01", None]),
        (pa.array([Decimal(10) ** 20], pa.decimal256(50, 0)), ["100000000000000000000"]),
        (pa.array([0, 1, None], pa.timestamp("ms", "UTC")), ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z", None]),
        (pa.array([1500], pa.timestamp("ms")), ["1970-01-01T00:00:01.500"]),
        (pa.array([0], pa.timestamp("ns")), ["1970-01-01T00:00:00"]),
        (pa.array([0], pa.timestamp("s", "+05:30")), ["1970-01-01T05:30:00+05:30"]),
        (pa.array([0], pa.timestamp("s", "-0330")), ["1969-12-31T20:30:00-03:30"]),
        (pa.array([0], pa.timestamp("s", "Europe/Kyiv")), ["1970-01-01T03:00:00+03:00"]),
        (
            pa.array([1_704_067_200, 1_720_000_000], pa.timestamp("s", "Europe/London")),
            ["2024-01-01T00:00:00Z", "2024-07-03T10:46:40+01:00"],
        ),
        (pa.array([-5_000_000_000], pa.timestamp("s", "Europe/Kyiv")), ["1811-07-23T17:08:44+02:02"]),
        (
            pa.array([253_402_300_800, -100_000_000_000], pa.timestamp("s", "-03:30")),
            ["9999-12-31T20:30:00-03:30", "-1199-02-15T10:43:20-03:30"],
        ),
        (pa.array([253_402_300_800], pa.timestamp("s", "+02:00")), ["+10000-01-01T02:00:00+02:00"]),
        (pa.array([(1, 2, -5), None], pa.month_day_nano_interval()), ["P1M2DT-0.000000005S", None]),
        (pa.array([-(2**40)], pa.timestamp("s", "UTC")), ["-32873-11-12T23:23:44Z"]),
        (pa.array([10_348, None], pa.date32()), ["1998-05-02", None]),
        (pa.array([123], pa.int64()).view(pa.date64()), ["1970-01-01T00:00:00.123"]),
        (pa.array([3_723], pa.time32("s")), ["01:02:03"]),
        (pa.array([1], pa.time64("us")), ["00:00:00.000001"]),
        (pa.array([-1500, 0, None], pa.duration("ms")), ["-PT1.5S", "P0D", None]),
        (pa.array([-1], pa.duration("ns")), ["-PT0.000000001S"]),
        (pa.array([b"\x00\xff", None]), ["00ff", None]),
        (pa.array([b"ab"], pa.binary(2)), ["6162"]),
        (pa.array(["ü", None], pa.string_view()), ["ü", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([[0], [], None], pa.list_(pa.timestamp("ms", "UTC"))), [["1970-01-01T00:00:00Z"], [], None]),
        (pa.array([[1], [2]], pa.list_(pa.int8(), 1)), [[1], [2]]),
        (pa.array([{"t": 0}, None], pa.struct([("t", pa.date32())])), [{"t": "1970-01-01"}, None]),
        (pa.array([[(1, 2)], None], pa.map_(pa.int8(), pa.int8())), [{"1": 2}, None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_are_what_clients_expect(array: pa.Array, values: list[Any]) -> None:
    assert json_values(array) == values


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(
    numbers=st.lists(
        st.none() | st.integers(-(2**62), 2**62) | st.integers(0, 2**31).map(lambda it: it * 1000) | st.just(10**17),
        max_size=9,
    )
)
def test_many_moments_are_written_as_single_ones_are(unit: str, numbers: list[int | None]) -> None:
    nanos = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    wanted = [None if number is None else str(Timestamp(number * nanos)) for number in numbers]

    assert json_values(pa.array(numbers, pa.timestamp(unit, "UTC"))) == wanted
    assert json_values(pa.array([0, *numbers], pa.timestamp(unit, "UTC")).slice(1)) == wanted


def test_slices_of_arrays_give_their_own_values() -> None:
    batch = pa.record_batch({"l": pa.array([[1], [2, 3], None]), "s": pa.array([{"a": 1}, {"a": 2}, None])}).slice(1)

    rows = encode_rows(batch.schema, [batch], SHAPE)

    assert json.loads(rows.data) == [{"l": [2, 3], "s": {"a": 2}}, {"l": None, "s": None}]


@pytest.mark.parametrize("data_format", DataFormat)
def test_numbers_that_json_does_not_have_are_null_unless_they_are_wanted(data_format: DataFormat) -> None:
    floats = [0.5, float("nan"), float("inf"), float("-inf"), None]
    batch = pa.record_batch(
        {
            "d": pa.array(floats),
            "h": pa.array(floats, pa.float16()),
            "l": pa.array([[one] for one in floats]),
            "s": pa.array([{"x": one} for one in floats]),
        }
    )
    shape = replace(SHAPE, data_format=data_format)

    plain = encode_rows(batch.schema, [batch], shape).data
    special = encode_rows(batch.schema, [batch], replace(shape, keeps_nan=True)).data

    assert json.loads(plain, parse_constant=pytest.fail)
    assert re.sub(b"NaN|-?Infinity", b"null", special) == plain
    assert [special.count(word) for word in (b"NaN", b"Infinity", b"-Infinity")] == [4, 8, 4]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e-4, "0.0001"),
        (1e-5, "0.00001"),
        (-1.25e-5, "-0.0000125"),
        (1e-6, "1e-6"),
        (1e-7, "1e-7"),
        (-1.5e-9, "-1.5e-9"),
        (1e-10, "1e-10"),
        (5e-324, "5e-324"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_floats_are_written_as_kamu_writes_them(number: float, text: str) -> None:
    told = '1e-07, \\ and " as 1e-07'
    batch = pa.record_batch(
        {
            "d": pa.array([number]),
            "dict": pa.array([number]).dictionary_encode(),
            "l": pa.array([[number]]),
            "s": pa.array([{"x": number, "1e-07": told}]),
        }
    )

    rows = encode_rows(batch.schema, [batch], replace(SHAPE, sort_keys=False)).data.decode()

    assert rows == f'[{{"d":{text},"dict":{text},"l":[{text}],"s":{{"x":{text},"1e-07":{json.dumps(told)}}}}}]'


def test_narrow_floats_have_the_digits_that_mean_the_same() -> None:
    batch = pa.record_batch(
        {"f": pa.array([0.1, 1e-7, 1e21, None], pa.float32()), "h": pa.array([0.1] * 4, pa.float16())}
    )

    rows = encode_rows(batch.schema, [batch], replace(SHAPE, data_format=DataFormat.JSON_SOA)).data

    assert rows == b'{"f":[0.1,1e-7,1e+21,null],"h":[0.1,0.1,0.1,0.1]}'


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("JsonAoS", DataFormat.JSON_AOS),
        ("JsonAos", DataFormat.JSON_AOS),
        ("json-soa", DataFormat.JSON_SOA),
        ("jsonaoa", DataFormat.JSON_AOA),
    ],
)
def test_formats_have_lenient_spellings(text: str, form: DataFormat) -> None:
    assert DataFormat.parse(text) is form


def test_an_unknown_format_names_the_known_spellings() -> None:
    with pytest.raises(UnknownFormatError) as caught:
        DataFormat.parse("Csv")

    assert str(caught.value) == (
        "unknown variant `Csv`, expected one of `JsonAoS`, `JsonAos`, `json-aos`, `jsonaos`, `JsonSoA`, `JsonSoa`, "
        "`json-soa`, `jsonsoa`, `JsonAoA`, `JsonAoa`, `json-aoa`, `jsonaoa`"
    )
