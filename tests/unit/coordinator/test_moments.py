"""Clocks that go back."""

from __future__ import annotations

import pytest

from kamu_assets.coordinator.moments import ClockBehindError, next_system_time
from kamu_assets.errors import UnavailableError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.timestamp import Timestamp

NOW = Timestamp.parse("2024-01-01T12:00:00Z")


class Stopped:
    """A clock that says one thing."""

    def now(self) -> Timestamp:
        return NOW


def newest(text: str | None) -> ChainState:
    return ChainState(system_time=Timestamp.parse(text) if text else None)


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (None, "2024-01-01T12:00:00Z"),
        ("2024-01-01T11:00:00Z", "2024-01-01T12:00:00Z"),
        ("2024-01-01T12:00:00Z", "2024-01-01T12:00:00Z"),
        ("2024-01-01T12:00:00.000000001Z", "2024-01-01T12:00:00.000000001Z"),
        ("2024-01-01T12:01:00Z", "2024-01-01T12:01:00Z"),
    ],
)
def test_a_block_is_not_older_than_the_one_before(before: str | None, then: str) -> None:
    assert str(next_system_time(Stopped(), newest(before))) == then


def test_a_clock_that_is_far_behind_is_told() -> None:
    with pytest.raises(
        ClockBehindError, match="the clock says 2024-01-01T12:00:00Z, but the newest block is of 2026"
    ) as error:
        next_system_time(Stopped(), newest("2026-01-01T00:00:00Z"))

    assert isinstance(error.value, UnavailableError)
