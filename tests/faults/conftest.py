"""Figures that tests note with `record_property` are added up and told at the end."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call" and "faults" in report.nodeid.split("::")[0].split("/"):
            for name, value in report.user_properties:
                figures[name] += value if isinstance(value, int) else 0
    if figures:
        terminalreporter.section("figures of the fault matrix")
        for name, value in figures.items():
            terminalreporter.write_line(f"{name}: {value:,}")
