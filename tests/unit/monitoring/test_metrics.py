"""What is counted, and that it costs nothing where nobody keeps it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from kamu_assets.errors import ConflictError
from kamu_assets.monitoring.families import own_families, text_of
from kamu_assets.monitoring.metric import LEDGER, Counter, Gauge
from kamu_assets.monitoring.metrics import Meter

WORK: Final = Meter("test_work", "work of tests", "way")
ROWS: Final = Counter("test_rows", "Rows of tests")
BUSY: Final = Gauge("test_busy", "Who is busy", "who")


def value(name: str, **labels: str) -> float:
    return LEDGER.open().get_sample_value(f"kamu_node_{name}", labels) or 0.0


class TooLateError(ConflictError):
    """Of these tests."""


def test_work_that_goes_well_is_counted_with_its_time() -> None:
    before = value("test_work_seconds_count", way="push")

    with WORK.measured("push"):
        pass

    assert value("test_work_seconds_count", way="push") == before + 1
    assert value("test_work_failures_total", way="push", kind="bug") == 0


@pytest.mark.parametrize(("error", "kind"), [(TooLateError("!"), "TooLateError"), (ZeroDivisionError("!"), "bug")])
def test_work_that_fails_is_counted_by_what_went_wrong(error: Exception, kind: str) -> None:
    failed = value("test_work_failures_total", way="poll", kind=kind)
    done = value("test_work_seconds_count", way="poll")

    with pytest.raises(type(error)), WORK.measured("poll"):
        raise error

    assert value("test_work_failures_total", way="poll", kind=kind) == failed + 1
    assert value("test_work_seconds_count", way="poll") == done


def test_counters_grow_and_gauges_go_both_ways() -> None:
    rows = value("test_rows_total")

    ROWS.add(by=3)
    BUSY.add("engine")
    BUSY.add("engine", by=-1)
    BUSY.set(7, "query")

    assert value("test_rows_total") == rows + 3
    assert (value("test_busy", who="engine"), value("test_busy", who="query")) == (0, 7)


def test_lines_of_several_processes_stay_together() -> None:
    ROWS.add()
    families = own_families()

    text = text_of([*(each.of("api") for each in families), *(each.of("worker") for each in families)]).decode()

    assert text.count("# TYPE kamu_node_test_rows_total counter") == 1
    for process in ("api", "worker"):
        assert f'kamu_node_test_rows_total{{process="{process}"}} {value("test_rows_total")}' in text
    assert "_created" not in text


def test_a_process_tells_what_it_uses() -> None:
    found = {each.name: each.samples[0].value for each in own_families() if len(each.samples) == 1}

    assert found["kamu_node_process_memory_bytes"] > 1 << 20
    assert found["kamu_node_process_cpu_seconds"] > 0


def test_who_keeps_no_metrics_does_not_load_the_client() -> None:
    program = (
        "import sys; import kamu_assets.node; from kamu_assets.monitoring import metrics\n"
        "with metrics.COMMIT.measured(): metrics.QUERY_ROWS.add(by=2)\n"
        "assert 'prometheus_client' not in sys.modules"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
