"""The replay test: a recorded scenario, run again on a fresh node of ours, ends as it did in kamu."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.conformance.cases import Case, Evidence
from tests.conformance.difference import DifferenceError
from tests.conformance.exclusions import Exclusions
from tests.support.recorded_derivative import Recording
from tests.support.recorded_root import Scenario
from tests.support.replay import replay
from tests.support.replay_derivatives import replay_derivative


def replay_cases(folder: Path, exclusions: Exclusions) -> Iterator[Case]:
    """The replay of a scenario, and one more case for each of its steps that does not run."""
    if _is_derivative(folder):
        yield from _derivative_cases(folder, exclusions)
    else:
        yield from _root_cases(folder, exclusions)


def _root_cases(folder: Path, exclusions: Exclusions) -> Iterator[Case]:
    """A root is replayed up to the first step that we cannot do yet: all that follows builds on it."""
    scenario = Scenario.load(folder)
    left_out: list[str] = []
    end = len(scenario.steps)
    for count, step in enumerate(scenario.steps):
        found = exclusions.find_step(scenario.name, step["id"], scenario.needs(step))
        if found:
            left_out.append(f"{scenario.name}/{step['id']}/{found.need}")
            end = count
            break
    yield Case(Evidence.REPLAY, scenario.name, partial(check_root, folder, end))
    yield from map(_left_out, left_out)


def _derivative_cases(folder: Path, exclusions: Exclusions) -> Iterator[Case]:
    """Steps of derivatives are judged one by one: where we leave one out, the recorded blocks stand in."""
    recording = Recording.load(folder)
    left_out: dict[int, str] = {}
    for step in recording.steps:
        found = exclusions.find_step(recording.name, str(step["index"]), recording.needs(step))
        if found:
            left_out[step["index"]] = found.need
    yield Case(Evidence.REPLAY, recording.name, partial(check_derivative, folder, frozenset(left_out)))
    for index, need in left_out.items():
        yield _left_out(f"{recording.name}/{index}/{need}")


def check_root(folder: Path, steps: int) -> None:
    scenario = Scenario.load(folder)
    with tempfile.TemporaryDirectory(prefix="replay-") as home:
        _say(replay(scenario, Path(home), scenario.steps[:steps]))


def check_derivative(folder: Path, left_out: frozenset[int]) -> None:
    with tempfile.TemporaryDirectory(prefix="replay-") as home:
        _say(replay_derivative(Recording.load(folder), Path(home), left_out=left_out))


def _say(differences: Sequence[str]) -> None:
    if differences:
        raise DifferenceError("; ".join(differences))


def _left_out(subject: str) -> Case:
    def fail() -> None:
        raise DifferenceError(f"{subject}: the step is left out, but no exclusion says why")

    return Case(Evidence.REPLAY, subject, fail)


def _is_derivative(folder: Path) -> bool:
    return "datasets" in json.loads((folder / "expected.json").read_text())
