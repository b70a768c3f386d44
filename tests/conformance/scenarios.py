"""Recorded scenarios as cases: one to read and one to replay for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from kamu_assets.odf.serde.yaml import dump_block, parse_block
from tests.conformance.cases import Case, Evidence
from tests.conformance.difference import DifferenceError, expect
from tests.conformance.engine_contract import engine_cases
from tests.conformance.exclusions import Exclusions
from tests.conformance.read import OurReading, check_dataset
from tests.conformance.recordings import derivative_recordings, root_recording
from tests.conformance.refused import check_refused
from tests.conformance.replays import replay_cases

MARKS = ("scenario.yaml", "expected.json")


def scenario_cases(folder: Path, exclusions: Exclusions) -> Iterator[Case]:
    """The tests of every scenario in `folder`, and of the engine contract that lies beside them."""
    for scenario in scenarios(folder):
        yield Case(Evidence.READ, scenario.name, partial(check_read, scenario))
        yield from replay_cases(scenario, exclusions)
    yield from engine_cases(folder)


def scenarios(folder: Path) -> list[Path]:
    return [
        path for path in sorted(folder.iterdir()) if path.is_dir() and any((path / mark).exists() for mark in MARKS)
    ]


def check_read(scenario: Path) -> None:
    expected = json.loads((scenario / "expected.json").read_text())
    if "datasets" in expected:
        for recorded in derivative_recordings(scenario, expected):
            with_name(recorded.folder.name, partial(check_dataset, recorded))
    elif "blocks" in expected:
        ours = check_dataset(root_recording(scenario, expected))
        _check_log((scenario / "log.yaml").read_text(), ours)
    else:
        check_refused(scenario, expected, _scenario(scenario))


def with_name(name: str, check: partial[OurReading]) -> None:
    """Say which dataset of a scenario differs."""
    try:
        check()
    except DifferenceError as difference:
        raise DifferenceError(f"{name}: {difference}") from None


def _scenario(scenario: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load((scenario / "scenario.yaml").read_text())
    return loaded


def _check_log(log: str, ours: OurReading) -> None:
    """Kamu's own log: the same blocks, newest first, and our spelling of them reads the same."""
    entries = [entry for entry in log.split("---\n") if entry.strip()]
    expect("blocks in log.yaml", ours=len(ours.blocks), theirs=len(entries))
    for number, (entry, block) in enumerate(zip(entries, reversed(ours.blocks), strict=True)):
        expect(f"log.yaml entry {number}", ours=parse_block(entry) == block, theirs=True)
        expect(f"log.yaml entry {number}, ours", ours=parse_block(dump_block(block)) == block, theirs=True)
    heading = f"# Block: {ours.state.head}"
    expect("head in log.yaml", ours=heading, theirs=entries[0].splitlines()[0])
