"""Verifications of recorded derivatives as cases: our verdict on each is the recorded one, or a listed exception."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path

from tests.conformance.cases import Case, Evidence
from tests.conformance.difference import expect
from tests.support.verdicts import RecordedState, RecordedVerdict, our_verdict, recorded_states

LISTED = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class VerdictException:
    """What we say instead of kamu, and why."""

    pattern: str
    ours: str
    reason: str


@cache
def exceptions() -> tuple[VerdictException, ...]:
    return tuple(VerdictException(**entry) for entry in tomllib.loads(LISTED.read_text())["exception"])


def verdict_cases(recorded: Path) -> Iterator[Case]:
    """One case for each time that kamu verified a dataset."""
    for state in recorded_states(recorded):
        for verdict in state.verdicts:
            yield Case(Evidence.VERDICT, verdict.subject, partial(check_verdict, state, verdict))


def check_verdict(state: RecordedState, recorded: RecordedVerdict) -> None:
    report = our_verdict(state, recorded)
    listed = next((each for each in exceptions() if fnmatchcase(recorded.subject, each.pattern)), None)
    expect(
        f"verdict ({report.first_fault})",
        ours=str(report.verdict),
        theirs=listed.ours if listed else recorded.kind,
    )
