"""How long receivers are left alone when they ask for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.patience import MAX_SECONDS, retry_after

NOW = Timestamp.from_datetime(datetime(2026, 11, 26, 23, 59, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120),
        ("0.5", 0.5),
        ("Fri, 27 Nov 2026 00:01:00 GMT", 120),
        ("Friday, 27-Nov-26 00:01:00 GMT", 120),
        ("Fri Nov 27 00:01:00 2026", 120),
        ("Sat, 28 Nov 2026 00:01:00 GMT", MAX_SECONDS),
        ("1e300", MAX_SECONDS),
        ("Thu, 26 Nov 2026 23:58:00 GMT", None),
        ("0", None),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Fri, 27 Nov 99999999999999999999 00:01:00 GMT", None),
    ],
)
def test_both_forms_are_understood(told: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": told}, NOW) == seconds


def test_a_date_is_one_of_the_receivers_clock() -> None:
    told = {"date": "Thu, 01 Jan 1970 00:00:00 GMT", "retry-after": "Thu, 01 Jan 1970 00:05:00 GMT"}

    assert retry_after(told, NOW) == 300
    assert retry_after({**told, "date": "yesterday"}, NOW) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} [A-Z][a-z]{2} \d+ [\d:]+ ?[-+A-Z\d]*"))
def test_whatever_it_says_it_is_left_alone_for_some_time_or_not(told: str) -> None:
    seconds = retry_after({"retry-after": told, "date": told}, NOW)

    assert seconds is None or 0 < seconds <= MAX_SECONDS


def test_who_says_nothing_is_not_left_alone() -> None:
    assert retry_after({}, NOW) is None
