"""What the runner counts: one case per test vector, one per scenario and test."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from tests.conformance.difference import DifferenceError
from tests.conformance.exclusions import Exclusion, Exclusions

NOTHING_TO_SAY = ""
_WORTH_A_WORKER = 50
_CHUNK = 4


class Evidence(Enum):
    """The sorts of evidence."""

    VECTOR = "vector"
    READ = "read"
    REPLAY = "replay"
    VERDICT = "verdict"
    ENGINE = "engine"


class Status(Enum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Case:
    """`subject` is what exclusions match: `<kind>[/<variant>]/<id>` of a vector, the name of a scenario."""

    test: Evidence
    subject: str
    run: Callable[[], None]

    @property
    def name(self) -> str:
        return f"{self.test.value} {self.subject}"


@dataclass(frozen=True)
class Result:
    case: Case
    status: Status
    detail: str = NOTHING_TO_SAY


_IN_WORKERS: list[Case] = []


def run_case(case: Case, exclusions: Exclusions) -> Result:
    excluded = exclusions.find(case.test.value, case.subject)
    if excluded:
        return Result(case, Status.SKIPPED, _reason(excluded))
    try:
        case.run()
    except DifferenceError as difference:
        return Result(case, Status.FAILED, str(difference))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in one case, the others still run and count
        return Result(case, Status.FAILED, _crash(error))
    return Result(case, Status.PASSED)


def run_cases(cases: Iterable[Case], exclusions: Exclusions, *, workers: int = 1) -> list[Result]:
    """All of them, in their order; with several workers each case runs in one of these processes."""
    listed = list(cases)
    if workers == 1 or len(listed) < _WORTH_A_WORKER:
        return [run_case(case, exclusions) for case in listed]
    _IN_WORKERS[:] = listed
    # Cases are closures, which do not travel: a forked worker has them already, and is told a number.
    with multiprocessing.get_context("fork").Pool(workers, initializer=gc.freeze) as pool:
        outcomes = pool.map(partial(_run_numbered, exclusions), range(len(listed)), chunksize=_CHUNK)
    return [Result(case, status, detail) for case, (status, detail) in zip(listed, outcomes, strict=True)]


def _run_numbered(exclusions: Exclusions, number: int) -> tuple[Status, str]:
    result = run_case(_IN_WORKERS[number], exclusions)
    return result.status, result.detail


def broken(test: Evidence, subject: str, message: str) -> Case:
    """A case that can only fail: its input is not what we know how to read."""

    def fail() -> None:
        raise DifferenceError(message)

    return Case(test, subject, fail)


def _reason(excluded: Exclusion) -> str:
    when = excluded.until if excluded.until == "permanent" else f"until: {excluded.until}"
    return f"{excluded.reason} ({when})"


def _crash(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line[:300]} (at {Path(frame.filename).name}:{frame.lineno})"
