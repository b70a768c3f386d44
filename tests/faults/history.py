"""Judges what many writers and readers saw of one head: is there an order of everything that explains all answers?

A head is a register with compare-and-set. Its chain says in which order the commits took effect, so that no search is
needed: the history is linearizable when that order contradicts no answer and no clock (Herlihy and Wing 1990).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one writer or reader; times are of the machine's one monotonic clock, in nanoseconds."""

    invoked: int
    answered: int
    # What the caller said is in the chain after it, unless it was refused; unique.
    payload: str | None
    # The head that the answer names: the new one, the one that was in the way, or the one that was read.
    head: str
    refused: bool = False


def read_history(paths: Iterable[Path]) -> list[Call]:
    return [Call(**json.loads(line)) for path in paths for line in path.read_text().splitlines()]


def write_history(path: Path, calls: Iterable[Call]) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(call)) + "\n" for call in calls)


def contradictions(calls: Sequence[Call], chain: Sequence[tuple[str, str | None]]) -> Iterator[str]:
    """What no order explains; `chain` holds the hash and the payload of every block, oldest first.

    The writers' calls that were never answered may be in the chain or not; all others must be there, once.
    """
    place = {name: number for number, (name, _) in enumerate(chain)}
    known = [call for call in calls if call.head in place]
    yield from (f"{call} names a head that was never in the chain" for call in calls if call.head not in place)
    yield from _payloads(known, chain, place)
    yield from _times(known, place)


def _payloads(calls: Sequence[Call], chain: Sequence[tuple[str, str | None]], place: dict[str, int]) -> Iterator[str]:
    """Every commit that was acknowledged is in the chain once, where its answer says; no refused one is."""
    found = [payload for _, payload in chain if payload is not None]
    stored = set(found)
    if len(stored) != len(found):
        yield "a payload is in the chain twice"
    for call in calls:
        if call.payload is None:
            continue
        if call.refused and call.payload in stored:
            yield f"{call} was refused, but is in the chain"
        if not call.refused and chain[place[call.head]][1] != call.payload:
            yield f"{call} was acknowledged, but is not where its answer says"


def _times(calls: Sequence[Call], place: dict[str, int]) -> Iterator[str]:
    """Nobody sees a head before its commit began, nor an older one than anybody had seen before the call."""
    began = {call.head: call.invoked for call in calls if call.payload is not None and not call.refused}
    for call in calls:
        if call.answered < began.get(call.head, call.answered):
            yield f"{call} saw a head whose commit had not begun"
    answered = sorted(calls, key=lambda call: call.answered)
    newest = list(accumulate((place[call.head] for call in answered), max))
    done = 0
    for call in sorted(calls, key=lambda call: call.invoked):
        while done < len(answered) and answered[done].answered < call.invoked:
            done += 1
        writes = call.payload is not None and not call.refused
        # A commit comes after everything that was answered before it; others may see the same head again.
        if done and place[call.head] < newest[done - 1] + writes:
            yield f"{call} is older than what was known before it"
