from __future__ import annotations

import json

import pytest

from tests.bench.measurement import Machine, Measurement, median_of, percentile
from tests.bench.report import report, verdict

CALM = Machine(load_per_core=0.2)
LOUD = Machine(load_per_core=1.6)


def a_measurement(
    value: float, *, limit: float | None = 1.0, machine: Machine = CALM, by_clock: bool = True
) -> Measurement:
    return Measurement("some_job", value, "s", machine, limit=limit, by_clock=by_clock)


@pytest.mark.parametrize(
    ("measurement", "fails"),
    [
        (a_measurement(1.0), False),
        (a_measurement(1.01), True),
        (a_measurement(1.01, machine=LOUD), False),
        (a_measurement(1.01, machine=LOUD, by_clock=False), True),
        (a_measurement(1e9, limit=None), False),
    ],
)
def test_a_broken_limit_fails_unless_neighbours_may_have_broken_it(measurement: Measurement, *, fails: bool) -> None:
    assert measurement.fails is fails


def test_the_smallest_and_the_largest_are_percentiles_too() -> None:
    samples = [float(number) for number in range(20, 0, -1)]

    assert percentile(samples, 0.0) == 1
    assert percentile(samples, 0.5) == 10
    assert percentile(samples, 0.95) == 19
    assert percentile(samples, 1.0) == 20


def test_a_line_says_what_was_measured_of_what() -> None:
    measured = median_of("some_job", [0.3, 0.1, 0.2], machine=LOUD, limit=0.5, stages={"answered": 0.00004})

    line = json.loads(json.dumps(measured.document()))

    assert {"workload", "value", "unit", "limit", "within_guard", "noisy", "versions"} <= line.keys()
    assert (line["value"], line["within_guard"], line["noisy"]) == (0.2, True, True)
    assert (line["samples"], line["min"], line["p95"]) == (3, 0.1, 0.3)
    assert line["stages"] == {"answered": 0.0}
    assert line["versions"]["dagster"]


def test_what_has_no_limit_is_told_for_information() -> None:
    measured = a_measurement(3.0, limit=None)

    assert measured.document()["within_guard"] is None
    assert verdict(measured) == "for information"


def test_every_measurement_is_reported_although_one_breaks_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    code = report([a_measurement(2.0), a_measurement(0.5)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert [json.loads(line)["within_guard"] for line in lines[:2]] == [False, True]
    assert any("BROKEN" in line for line in lines[2:])
