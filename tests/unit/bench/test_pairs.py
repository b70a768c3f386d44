"""Comparisons over runs that were made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.bench.jobs import FailedJobError, MissingSubjectError, Ran
from tests.bench.measurement import Machine, Measurement
from tests.bench.pairs import Contest, compare, compare_all
from tests.bench.report import report, verdict
from tests.bench.subject import Run, Subject
from tests.unit.bench import subjects

OURS, FLOOR, PEER = (Subject(name, subjects.works, subjects.anything) for name in ("ours", "floor", "peer"))


class MadeUp:
    """Gives what it was told, run by run, and remembers the order."""

    def __init__(self, **cpu: list[float] | Exception) -> None:
        self._cpu = {name: found if isinstance(found, Exception) else iter(found) for name, found in cpu.items()}
        self.order: list[str] = []

    def __call__(self, subject: Subject) -> Ran:
        self.order.append(subject.name)
        found = self._cpu[subject.name]
        if isinstance(found, Exception):
            raise found
        return _ran(found)


def _ran(cpu: Iterator[float]) -> Ran:
    seconds = next(cpu)
    return Ran(Run(wall_s=seconds * 10, cpu_s=seconds, rss_mb=seconds * 100), {"pyarrow": "1"})


def compared(
    runs: MadeUp, *against: Subject, limits: Mapping[str, float] | None = None, pairs: int = 3
) -> dict[str, Measurement]:
    found = compare("w0", OURS, against or (FLOOR,), limits=limits or {}, pairs=pairs, run=runs)
    return {measurement.workload: measurement for measurement in found}


def test_the_ratio_is_the_median_of_ratios_of_pairs() -> None:
    runs = MadeUp(ours=[2.0, 9.0, 4.0], floor=[1.0, 3.0, 4.0])

    line = compared(runs)["w0: ours / floor, cpu"].document()

    assert (line["ratio"], line["min"], line["max"], line["pairs"]) == (2.0, 1.0, 3.0, 3)
    assert (line["workload"], line["subject"], line["against"]) == ("w0", "ours", "floor")
    assert (line["wall_s"], line["cpu_s"], line["rss_mb"]) == (40.0, 4.0, 400.0)
    assert {"guard", "within_guard", "noisy", "versions"} <= line.keys()


def test_subjects_take_turns() -> None:
    runs = MadeUp(ours=[1.0] * 4, floor=[1.0] * 4)

    compared(runs, pairs=4)

    assert runs.order == ["ours", "floor", "floor", "ours"] * 2


def test_whoever_is_in_several_contests_runs_once_a_round() -> None:
    runs = MadeUp(ours=[1.0, 2.0], floor=[1.0, 4.0], peer=[2.0, 2.0])
    contests = [Contest(OURS, [PEER], {"peer": 0.6}), Contest(FLOOR, [PEER], {"peer": 0.6})]

    found = {measurement.workload: measurement for measurement in compare_all("w0", contests, pairs=2, run=runs)}

    assert runs.order == ["ours", "peer", "floor", "peer", "floor", "ours"]
    cpu = [found[f"w0: {name} / peer, cpu"] for name in ("ours", "floor")]
    assert [(one.value, one.within_guard) for one in cpu] == [(0.75, False), (1.25, False)]
    assert cpu[1].details["subject"] == "floor"


def test_limits_judge_the_clock_they_name() -> None:
    runs = MadeUp(ours=[1.5] * 3, floor=[1.0] * 3)

    found = compared(runs, limits={"floor": 1.4, "floor wall": 1.6, "rss_mb": 150})

    cpu, wall, memory = found.values()
    assert (cpu.within_guard, wall.within_guard, memory.within_guard) == (False, True, True)
    assert (cpu.by_clock, wall.by_clock, memory.by_clock) == (False, True, False)
    assert memory.value == 150


def test_a_limit_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="flour"):
        compared(MadeUp(), limits={"flour": 1.0})


def test_on_a_busy_machine_only_the_clock_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "now", classmethod(lambda cls: cls(1.6)))
    runs = MadeUp(ours=[2.0] * 3, floor=[1.0] * 3)

    cpu, wall, _ = compared(runs, limits={"floor": 1.0, "floor wall": 1.0}).values()

    assert (cpu.is_noisy, cpu.fails) == (True, True)
    assert (wall.is_noisy, wall.fails) == (True, False)


def test_a_missing_peer_is_reported_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    runs = MadeUp(ours=[1.0] * 3, floor=[1.0] * 3, peer=MissingSubjectError("not installed: duckdb"))

    found = compared(runs, PEER, FLOOR)

    assert runs.order.count("peer") == 1
    assert found["w0: peer"].document()["missing"] == "not installed: duckdb"
    assert verdict(found["w0: peer"]) == "missing"
    assert found["w0: ours / floor, cpu"].value == 1.0
    assert report(found.values()) == 0
    assert "missing" in capsys.readouterr().out


def test_a_wrong_result_has_no_ratio_and_fails() -> None:
    ours = compared(MadeUp(ours=FailedJobError("ours: wrong result"), floor=[1.0] * 3))
    theirs = compared(MadeUp(ours=[1.0] * 3, floor=FailedJobError("floor: wrong result")))

    assert ours["w0: ours"].fails
    assert theirs["w0: floor"].fails
    assert theirs["w0: floor"].document()["value"] is None
    assert list(ours) == ["w0: ours"]
