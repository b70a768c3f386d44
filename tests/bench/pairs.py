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


@dataclass(frozen=True, slots=True)
class Contest:
    """One of our subjects, what it is held against, and what is judged."""

    ours: Subject
    against: Sequence[Subject]
    limits: Mapping[str, float] = field(default_factory=dict)


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
    yield from compare_all(workload, [Contest(ours, against, limits)], pairs=pairs, run=run)


def compare_all(
    workload: str, contests: Sequence[Contest], *, pairs: int, run: RunJob = run_job
) -> Iterator[Measurement]:
    """The same for several of ours: whoever is in more than one contest runs once a round."""
    for contest in contests:
        _check_limits(contest.limits, contest.against)
    series = _Series([one for contest in contests for one in (contest.ours, *contest.against)], run)
    for number in range(pairs):
        series.round(number)
    for contest in contests:
        yield from _results(workload, series, contest)


def _results(workload: str, series: _Series, contest: Contest) -> Iterator[Measurement]:
    ours = contest.ours
    if ours.name in series.failures:
        yield _without_ratio(workload, ours, ours, failure=series.failures[ours.name])
        return
    for theirs in contest.against:
        yield from _measurements(workload, series, contest, theirs)
    yield _memory(workload, series, contest)


def _check_limits(limits: Mapping[str, float], against: Sequence[Subject]) -> None:
    known = {RSS} | {key for theirs in against for key in (theirs.name, f"{theirs.name} wall")}
    if unknown := limits.keys() - known:
        raise ValueError(f"limits of nothing: {', '.join(sorted(unknown))}")


@dataclass
class _Series:
    """All runs of a comparison."""

    subjects: Sequence[Subject]
    run: RunJob
    runs: dict[str, dict[int, Run]] = field(default_factory=dict)
    versions: dict[str, Mapping[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    # The busiest moment before a run.
    machine: Machine = field(default_factory=Machine.now)

    def round(self, number: int) -> None:
        """Each subject once, in an order that turns from round to round."""
        subjects = list({subject.name: subject for subject in self.subjects}.values())
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

    def ratios(self, ours: Subject, theirs: Subject, clock: str) -> list[float]:
        own, others = self.runs[ours.name], self.runs[theirs.name]
        return [_seconds(own[number], clock) / _seconds(others[number], clock) for number in own.keys() & others.keys()]

    def middle(self, subject: Subject) -> dict[str, float]:
        runs = self.runs[subject.name].values()
        return {key: statistics.median(getattr(run, key) for run in runs) for key in ("wall_s", "cpu_s", "rss_mb")}


def _seconds(run: Run, clock: str) -> float:
    # Below the resolution of the clocks nothing can be told apart.
    return max(run.cpu_s if clock == "cpu" else run.wall_s, 0.001)


def _measurements(workload: str, series: _Series, contest: Contest, theirs: Subject) -> Iterator[Measurement]:
    ours = contest.ours
    missing, failure = series.missing.get(theirs.name), series.failures.get(theirs.name)
    if missing or failure:
        yield _without_ratio(workload, ours, theirs, missing=missing, failure=failure)
        return
    for clock in CLOCKS:
        limit = contest.limits.get(theirs.name if clock == "cpu" else f"{theirs.name} wall")
        ratios = series.ratios(ours, theirs, clock)
        yield Measurement(
            f"{workload}: {ours.name} / {theirs.name}, {clock}",
            statistics.median(ratios),
            "x",
            series.machine,
            limit=limit,
            by_clock=clock == "wall",
            details={
                **_names(workload, ours, theirs, limit),
                "clock": clock,
                "ratio": statistics.median(ratios),
                "min": min(ratios),
                "max": max(ratios),
                "pairs": len(ratios),
                **series.middle(ours),
                "theirs": series.middle(theirs),
                "peer_versions": dict(series.versions[theirs.name]),
            },
        )


def _memory(workload: str, series: _Series, contest: Contest) -> Measurement:
    ours = contest.ours
    most = max(run.rss_mb for run in series.runs[ours.name].values())
    limit = contest.limits.get(RSS)
    names = {"workload": workload, "subject": ours.name, "guard": limit}
    details = {**names, **series.middle(ours)}
    return Measurement(
        f"{workload}: {ours.name}, memory",
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
