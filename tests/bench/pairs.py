"""Comparisons: ours and the others in turn, A B A B, each run in a fresh process, each result checked.

A ratio is ours by theirs in the same round, and what counts is the median over the rounds. Only what a limit names is
judged: `limits={"floor": 1.3, "deltalake wall": 2.0, "rss_mb": 1000}` judges processor time against the floor, the
clock against deltalake, and our memory.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.jobs import FailedJobError, MissingSubjectError, Ran, run_job
from tests.bench.measurement import Machine, Measurement
from tests.bench.subject import Environment, Run, Subject, WrongResultError, expect

__all__ = ["Environment", "Run", "Subject", "WrongResultError", "compare", "expect"]

RSS = "rss_mb"
CLOCKS = ("cpu", "wall")

RunJob = Callable[[Subject], Ran]


def compare(
    workload: str,
    ours: Subject,
    against: Sequence[Subject],
    *,
    limits: Mapping[str, float],
    pairs: int,
    run: RunJob = run_job,
) -> Iterator[Measurement]:
    """One measurement per peer and clock, and one of our memory."""
    _check_limits(limits, against)
    series = _Series(ours, against, run)
    for number in range(pairs):
        series.round(number)
    if ours.name in series.failures:
        yield _without_ratio(workload, ours, ours, failure=series.failures[ours.name])
        return
    for theirs in against:
        yield from _measurements(workload, series, theirs, limits)
    yield _memory(workload, series, limits)


def _check_limits(limits: Mapping[str, float], against: Sequence[Subject]) -> None:
    known = {RSS} | {key for theirs in against for key in (theirs.name, f"{theirs.name} wall")}
    if unknown := limits.keys() - known:
        raise ValueError(f"limits of nothing: {', '.join(sorted(unknown))}")


@dataclass
class _Series:
    """All runs of a comparison."""

    ours: Subject
    against: Sequence[Subject]
    run: RunJob
    runs: dict[str, dict[int, Run]] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    # The busiest moment before a run.
    machine: Machine = field(default_factory=Machine.now)

    def round(self, number: int) -> None:
        """Each subject once, in an order that turns from round to round."""
        subjects = [self.ours, *self.against]
        turn = number % len(subjects)
        for subject in subjects[turn:] + subjects[:turn]:
            if subject.name not in self.missing and subject.name not in self.failures:
                self._run(subject, number)

    def _run(self, subject: Subject, number: int) -> None:
        self.machine = max(self.machine, Machine.now(), key=lambda machine: machine.load_per_core)
        try:
            ran = self.run(subject)
        except MissingSubjectError as error:
            self.missing[subject.name] = str(error)
        except FailedJobError as error:
            self.failures[subject.name] = str(error)
        else:
            self.runs.setdefault(subject.name, {})[number] = ran.run
            self.versions[subject.name] = ran.versions

    def ratios(self, theirs: Subject, clock: str) -> list[float]:
        ours, others = self.runs[self.ours.name], self.runs[theirs.name]
        return [
            _seconds(ours[number], clock) / _seconds(others[number], clock) for number in ours.keys() & others.keys()
        ]

    def middle(self, subject: Subject) -> dict[str, float]:
        runs = self.runs[subject.name].values()
        return {key: statistics.median(getattr(run, key) for run in runs) for key in ("wall_s", "cpu_s", "rss_mb")}


def _seconds(run: Run, clock: str) -> float:
    # Below the resolution of the clocks nothing can be told apart.
    return max(run.cpu_s if clock == "cpu" else run.wall_s, 0.001)


def _measurements(
    workload: str, series: _Series, theirs: Subject, limits: Mapping[str, float]
) -> Iterator[Measurement]:
    missing, failure = series.missing.get(theirs.name), series.failures.get(theirs.name)
    if missing or failure:
        yield _without_ratio(workload, series.ours, theirs, missing=missing, failure=failure)
        return
    for clock in CLOCKS:
        limit = limits.get(theirs.name if clock == "cpu" else f"{theirs.name} wall")
        ratios = series.ratios(theirs, clock)
        yield Measurement(
            f"{workload}: {series.ours.name} / {theirs.name}, {clock}",
            statistics.median(ratios),
            "x",
            series.machine,
            limit=limit,
            by_clock=clock == "wall",
            details={
                **_names(workload, series.ours, theirs, limit),
                "clock": clock,
                "ratio": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
                "pairs": len(ratios),
                **series.middle(series.ours),
                "theirs": series.middle(theirs),
                "peer_versions": dict(series.versions[theirs.name]),
            },
        )


def _memory(workload: str, series: _Series, limits: Mapping[str, float]) -> Measurement:
    most = max(run.rss_mb for run in series.runs[series.ours.name].values())
    limit = limits.get(RSS)
    names = {"workload": workload, "subject": series.ours.name, "guard": limit}
    details = {**names, **series.middle(series.ours)}
    return Measurement(
        f"{workload}: {series.ours.name}, memory",
        most,
        "MB",
        series.machine,
        limit=limit,
        by_clock=False,
        details=details,
    )


def _without_ratio(
    workload: str, ours: Subject, theirs: Subject, *, missing: str | None = None, failure: str | None = None
) -> Measurement:
    return Measurement(
        f"{workload}: {theirs.name}",
        0.0,
        "x",
        Machine.now(),
        missing=missing,
        failure=failure,
        details=_names(workload, ours, theirs, None),
    )


def _names(workload: str, ours: Subject, theirs: Subject, limit: float | None) -> dict[str, str | float | None]:
    return {"workload": workload, "subject": ours.name, "against": theirs.name, "guard": limit}
