"""JSON lines while the measurements come in, a table for people at the end, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.bench.measurement import Measurement

# Files and pipes have no width of their own, and the table is for reading.
TABLE_WIDTH = 120


def report(measurements: Iterable[Measurement]) -> int:
    """Print everything; 1 if a limit is broken, else 0."""
    done = []
    for measurement in measurements:
        done.append(measurement)
        print(json.dumps(measurement.document()), flush=True)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(_table(done))
    return int(any(measurement.fails for measurement in done))


def _table(measurements: Iterable[Measurement]) -> Table:
    table = Table("workload", "value", "limit", "", "min", "p95", "max", "load/core", box=None, header_style="bold")
    for each in measurements:
        details = [_figure(each.details.get(key)) for key in ("min", "p95", "max")]
        table.add_row(
            each.workload,
            f"{each.value:.3f} {each.unit}" if each.has_value else "",
            "" if each.limit is None else f"{each.limit:g} {each.unit}",
            verdict(each),
            *details,
            f"{each.machine.load_per_core:.2f}",
        )
    return table


def verdict(measurement: Measurement) -> str:
    """The limit's fate in a word or two."""
    if not measurement.has_value:
        return "FAILED" if measurement.failure else "missing"
    if measurement.within_guard is None:
        return "for information"
    words = "ok" if measurement.within_guard else "BROKEN"
    return f"{words}, noisy" if measurement.is_noisy else words


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else ""
