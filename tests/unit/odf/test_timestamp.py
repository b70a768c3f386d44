from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "2020-02-29T23:59:59.123Z",
        "2020-12-31T12:00:00.123456Z",
        "1969-12-31T23:59:59.999999999Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T00:00:00Z",
        "+262142-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
    ],
)
def test_moments_are_printed_as_they_were_read(text: str) -> None:
    assert str(Timestamp.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2020-01-01T02:00:00+02:00", "2020-01-01T00:00:00Z"),
        ("2020-01-01t00:00:00.5-00:30", "2020-01-01T00:30:00.500Z"),
        ("2020-01-01 00:00:00.1234567891z", "2020-01-01T00:00:00.123456789Z"),
    ],
)
def test_offsets_and_odd_fractions_become_utc(text: str, canonical: str) -> None:
    assert str(Timestamp.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-01-01",
        "2020-01-01T00:00:00",
        "2021-02-29T00:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-00-01T00:00:00Z",
        "2020-01-32T00:00:00Z",
        "2020-01-00T00:00:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:00:60Z",
        "2020-01-01T00:00:00+24:00",
        "1" * 1000,
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidTimestampError):
        Timestamp.parse(text)


@given(st.integers(min_value=-(10**22), max_value=10**22))
def test_every_moment_survives_its_text(ns: int) -> None:
    assert Timestamp.parse(str(Timestamp(ns))) == Timestamp(ns)


@given(st.datetimes(timezones=st.just(UTC)))
def test_datetimes_survive(moment: datetime) -> None:
    stamp = Timestamp.from_datetime(moment)

    assert stamp.to_datetime() == moment
    assert str(stamp)[:19] == moment.isoformat()[:19]


def test_milliseconds_are_rounded_down() -> None:
    before_epoch = Timestamp(-1)

    assert before_epoch.millis == -1
    assert before_epoch.truncate_to_millis() == Timestamp(-1_000_000)
    assert Timestamp.from_millis(5).millis == 5


def test_a_moment_without_a_timezone_is_nobodys() -> None:
    with pytest.raises(ValueError, match="timezone"):
        Timestamp.from_datetime(datetime(2020, 1, 1))  # noqa: DTZ001 - the point of the test


def test_moments_are_fields_of_documents() -> None:
    adapter = TypeAdapter(Timestamp)

    moment = adapter.validate_python("2020-01-01T00:00:00Z")

    assert adapter.dump_python(moment, mode="json") == "2020-01-01T00:00:00Z"
    assert adapter.json_schema() == {"type": "string"}
