"""The judge of histories knows good ones from bad ones."""

from __future__ import annotations

import pytest

from tests.faults.history import Call, contradictions

CHAIN = [("h0", None), ("h1", "a"), ("h2", "b"), ("h3", "c")]
GOOD = [
    Call(0, 10, "a", "h1"),
    Call(5, 20, "b", "h2"),
    # Refused while b was first; read while c was under way, before and after it.
    Call(6, 21, "x", "h2", refused=True),
    Call(30, 40, "c", "h3"),
    Call(31, 33, None, "h2"),
    Call(34, 36, None, "h3"),
    Call(41, 42, None, "h3"),
]


def test_a_good_history_is_explained() -> None:
    assert list(contradictions(GOOD, CHAIN)) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (Call(50, 60, "lost", "h9"), "never in the chain"),
        (Call(50, 60, "lost", "h3"), "not where its answer says"),
        (Call(0, 60, "c", "h2", refused=True), "but is in the chain"),
        (Call(50, 60, None, "h2"), "older than what was known"),
        (Call(20, 25, None, "h3"), "had not begun"),
        (Call(37, 39, None, "h2"), "older than what was known"),
    ],
)
def test_a_wrong_answer_is_noticed(wrong: Call, told: str) -> None:
    found = list(contradictions([*GOOD, wrong], CHAIN))

    assert any(told in contradiction for contradiction in found)


def test_commits_in_another_order_than_their_answers_are_noticed() -> None:
    late = [Call(0, 10, "b", "h2"), Call(20, 30, "a", "h1")]

    assert any("older than" in found for found in contradictions(late, CHAIN))


def test_a_payload_that_is_there_twice_is_noticed() -> None:
    assert list(contradictions(GOOD, [*CHAIN, ("h4", "a")])) == ["a payload is in the chain twice"]
