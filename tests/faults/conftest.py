"""The stage of the story. Figures that tests note with `record_property` are told at the end, as a table and as JSON.

They are added up; of those that are called `most …`, the largest counts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stage import Stage, memory_folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call":
            # A test may note one figure several times.
            for name, value in report.user_properties:
                if isinstance(value, int):
                    figures[name] = max(figures[name], value) if name.startswith("most ") else figures[name] + value
    if not figures:
        return
    terminalreporter.section("figures of the fault matrix")
    width = max(map(len, figures))
    for name, value in figures.items():
        terminalreporter.write_line(f"{name:<{width}}  {value:>9,}")
    terminalreporter.write_line(json.dumps({"workload": "faults", **figures}))


@pytest.fixture
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="kamu-kills-", dir=memory_folder()))
    yield Stage(folder)
    shutil.rmtree(folder)
