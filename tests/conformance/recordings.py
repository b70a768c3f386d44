"""What recordings say about datasets, in one form for roots and derivatives."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.difference import expect
from tests.support.rows import dumps


@dataclass(frozen=True)
class RecordedBlock:
    hash: str
    version: int
    json: dict[str, Any]
    size: int | None = None


@dataclass(frozen=True)
class Recorded:
    """One dataset. `derived` is what only recordings of derivatives say."""

    folder: Path
    dataset_id: str
    head: str
    blocks: list[RecordedBlock]
    rows: list[str] | None
    row_count: int | None
    # A long dataset is shown by its first rows.
    first_rows_only: bool = False
    derived: dict[str, Any] | None = None


def root_recording(scenario: Path, expected: dict[str, Any]) -> Recorded:
    return Recorded(
        folder=scenario / "dataset",
        dataset_id=expected["datasetId"],
        head=expected["head"],
        blocks=[RecordedBlock(b["hash"], b["manifestVersion"], b["block"], b["size"]) for b in expected["blocks"]],
        rows=_recorded_lines(scenario, expected),
        row_count=expected.get("rowCount"),
    )


def _recorded_lines(scenario: Path, expected: dict[str, Any]) -> list[str] | None:
    if "rowsFile" not in expected:
        return None
    path = scenario / expected["rowsFile"]
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    expect(f"sha256 of {path.name}", ours=found, theirs=expected.get("rowsSha256", found))
    return raw.decode().split("\n") if raw else []


def derivative_recordings(scenario: Path, expected: dict[str, Any]) -> Iterator[Recorded]:
    for name, described in expected["datasets"].items():
        rows = described.get("rows")
        yield Recorded(
            folder=scenario / "datasets" / name,
            dataset_id=described["id"],
            head=described["head"],
            blocks=[_block_of(entry) for entry in described["blocks"]],
            rows=None if rows is None else [dumps(row) for row in rows],
            row_count=described.get("numRows"),
            first_rows_only="rowsNote" in described,
            derived=described,
        )


def _block_of(entry: dict[str, Any]) -> RecordedBlock:
    block = {key: value for key, value in entry.items() if key not in {"hash", "version"}}
    return RecordedBlock(entry["hash"], entry["version"], block)
