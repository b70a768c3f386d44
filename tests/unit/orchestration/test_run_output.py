"""What is kept of what engines print."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.monitoring.secrets import HIDDEN, never_tell
from kamu_assets.orchestration.workers.run_output import HEAD_CHARACTERS, LINE_CHARACTERS, TAIL_CHARACTERS, RunOutput

SECRET = "a-secret-of-ours"


@pytest.fixture(autouse=True)
def secret() -> Iterator[None]:
    never_tell([SECRET])
    yield
    never_tell([])


def kept_of(*parts: bytes) -> list[str]:
    kept: list[str] = []
    output = RunOutput(kept.append)
    for part in parts:
        output.hear(part)
    output.close()
    return [line for text in kept for line in text.split("\n")]


@given(st.lists(st.binary(max_size=20)))
def test_lines_are_the_same_however_they_come(parts: list[bytes]) -> None:
    whole = b"".join(parts)

    assert kept_of(*parts) == kept_of(whole)
    assert len(kept_of(*parts)) == len(whole.split(b"\n")) - whole.endswith(b"\n") * 1 - (whole == b"")


def test_of_much_the_beginning_and_the_end_are_kept() -> None:
    lines = kept_of(b"".join(b"line %d\n" % number for number in range(100_000)))

    assert lines[:2] == ["line 0", "line 1"]
    assert lines[-1] == "line 99999"
    (left_out,) = [line for line in lines if "left out" in line]
    assert left_out == f"… ({100_000 - len(lines) + 1} lines left out)"
    assert HEAD_CHARACTERS < sum(len(line) + 1 for line in lines) <= HEAD_CHARACTERS + TAIL_CHARACTERS + 100


def test_a_line_without_end_is_cut() -> None:
    first, second = kept_of(b"x" * 10_000_000, b"\nnext")

    assert first == "x" * LINE_CHARACTERS + "…"
    assert second == "next"


@pytest.mark.parametrize("before", range(LINE_CHARACTERS - len(SECRET) - 1, LINE_CHARACTERS + 1))
def test_no_half_of_a_secret_stands_at_a_cut(before: int) -> None:
    (line,) = kept_of(b"x" * before, SECRET.encode(), b"y" * 100)

    assert set(line) <= {*"xy…", *HIDDEN}


def test_no_half_of_a_secret_stands_where_a_line_was_given_up() -> None:
    (line,) = kept_of(SECRET.encode() * 10_000)

    assert set(line) == {*HIDDEN}


def test_a_database_that_is_away_stops_no_engine() -> None:
    def refuse(_text: str) -> None:
        raise ConnectionError

    output = RunOutput(refuse)
    output.hear(b"a line\n")

    output.close()
