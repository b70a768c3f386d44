"""Figures that tests note with `record_property` are added up and told at the end, as a table and as a line of JSON."""

from __future__ import annotations

import json
from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call":
            # A test may note one figure several times.
            for name, value in report.user_properties:
                figures[name] += value if isinstance(value, int) else 0
    if not figures:
        return
    terminalreporter.section("figures of the fault matrix")
    width = max(map(len, figures))
    for name, value in figures.items():
        terminalreporter.write_line(f"{name:<{width}}  {value:>9,}")
    terminalreporter.write_line(json.dumps({"workload": "faults", **figures}))
