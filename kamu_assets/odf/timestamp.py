"""Moments of ODF: nanoseconds on the UTC time line, of any year."""

import re
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf.typedef import TextValue

NANOS_PER_SECOND = 1_000_000_000
NANOS_PER_MILLI = 1_000_000
SECONDS_PER_DAY = 86_400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)
# Seconds of the first year that `datetime` does not know.
_END_OF_YEARS = 253_402_300_800
_RFC_3339 = re.compile(
    r"([+-]\d{4,9}|\d{4})-(0[1-9]|1[0-2])-([0-3]\d)"
    r"[Tt ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,18}))?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


class InvalidTimestampError(InvalidError):
    """The text is not an RFC 3339 moment."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:64]!r} is not an RFC 3339 date and time")
        self.text = text


def is_leap_year(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_before_year(year: int) -> int:
    """Days from 1970-01-01 to the first of January of a proleptic Gregorian year."""
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400 - 719_162


def year_of_day(day: int) -> int:
    """The proleptic Gregorian year in which a day (counted from 1970-01-01) lies."""
    year = 1970 + day * 400 // 146_097
    while days_before_year(year) > day:
        year -= 1
    while days_before_year(year + 1) <= day:
        year += 1
    return year


def _days_before_month(year: int, month: int) -> int:
    cumulative = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
    return cumulative[month] + (1 if month > 1 and is_leap_year(year) else 0)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp(TextValue):
    """A moment: nanoseconds since the Unix epoch."""

    ns: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an RFC 3339 date and time with any offset."""
        match = _RFC_3339.fullmatch(text)
        if match is None:
            raise InvalidTimestampError(text)
        year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
        month_start = _days_before_month(year, month - 1)
        if not 1 <= day <= _days_before_month(year, month) - month_start:
            raise InvalidTimestampError(text)
        days = days_before_year(year) + month_start + day - 1
        seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - _offset_seconds(match[8])
        return cls(seconds * NANOS_PER_SECOND + int((match[7] or "")[:9].ljust(9, "0")))

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """The moment of an aware datetime."""
        if moment.tzinfo is None:
            raise ValueError("a moment needs a timezone")
        return cls((moment - _EPOCH) // timedelta(microseconds=1) * 1000)

    @classmethod
    def from_millis(cls, ms: int) -> Self:
        """The moment of milliseconds since the Unix epoch."""
        return cls(ms * NANOS_PER_MILLI)

    def to_datetime(self) -> datetime:
        """As a datetime in UTC, cut to microseconds; OverflowError outside of the years 1 to 9999."""
        return _EPOCH + timedelta(microseconds=self.ns // 1000)

    @property
    def millis(self) -> int:
        """Whole milliseconds since the Unix epoch, rounded down."""
        return self.ns // NANOS_PER_MILLI

    def truncate_to_millis(self) -> Self:
        """The moment at the start of this millisecond."""
        return type(self).from_millis(self.millis)

    def __str__(self) -> str:
        seconds, nanos = divmod(self.ns, NANOS_PER_SECOND)
        if 0 <= seconds < _END_OF_YEARS:
            # What every commit spells several times.
            return f"{(_EPOCH_WITHOUT_ZONE + timedelta(seconds=seconds)).isoformat()}{_fraction_text(nanos)}Z"
        day, second = divmod(seconds, SECONDS_PER_DAY)
        year = year_of_day(day)
        day_of_year = day - days_before_year(year)
        month = next(m for m in range(1, 13) if _days_before_month(year, m) > day_of_year)
        day_of_month = day_of_year - _days_before_month(year, month - 1) + 1
        date = f"{_year_text(year)}-{month:02}-{day_of_month:02}"
        return f"{date}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}{_fraction_text(nanos)}Z"


def _offset_seconds(text: str) -> int:
    if text in {"Z", "z"}:
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[4:6]) * 60
    return -seconds if text[0] == "-" else seconds


def _year_text(year: int) -> str:
    if 0 <= year <= MAXYEAR:
        return f"{year:04}"
    return f"{'-' if year < 0 else '+'}{abs(year):04}"


def _fraction_text(nanos: int) -> str:
    if nanos == 0:
        return ""
    digits = f"{nanos:09}"
    if nanos % NANOS_PER_MILLI == 0:
        return f".{digits[:3]}"
    return f".{digits[:6]}" if nanos % 1000 == 0 else f".{digits}"
