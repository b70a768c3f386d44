"""Recorded scenarios: sound datasets that are also what the recording says they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.verifier.dataset import Verdict, verify
from tests.support.verifier.faults import FaultError


def datasets(root: Path) -> Iterator[Path]:
    """Every folder under `root` that has a head."""
    return iter(sorted(head.parent.parent for head in root.glob("**/refs/head")))


def verify_recorded(root: Path) -> Verdict:
    """Verify a dataset of a scenario folder, and compare with the scenario's `expected.json` where it has one."""
    verdict = verify(root)
    for key, value in _expected(root).items():
        if value is not None and _found(verdict)[key] != value:
            raise FaultError(key, f"is {_found(verdict)[key]}, recorded was {value}")
    return verdict


def _expected(root: Path) -> dict[str, Any]:
    path = next((folder / "expected.json" for folder in root.parents[:2] if (folder / "expected.json").exists()), None)
    if path is None:
        return {}
    expected = json.loads(path.read_text())
    if "datasets" not in expected:
        values = {"id": expected["datasetId"], "numRows": expected["rowCount"], "numBlocks": len(expected["blocks"])}
        return {"head": expected["head"], **values}
    described = expected["datasets"][root.name]
    keys = ("id", "head", "numBlocks", "lastOffset", "watermark", "numRows")
    return {key: described.get(key) for key in keys}


def _found(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.dataset_id,
        "head": verdict.head,
        "numBlocks": verdict.blocks,
        "lastOffset": verdict.last_offset,
        "watermark": _text(verdict.watermark),
        "numRows": verdict.records,
    }


def _text(nanoseconds: int | None) -> str | None:
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    base = datetime.fromisoformat("1970-01-01T00:00:00").toordinal()
    days, rest = divmod(seconds, 86_400)
    moment = datetime.fromordinal(base + days).date().isoformat()
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{moment}T{clock}{_fraction(fraction)}Z"


def _fraction(nanoseconds: int) -> str:
    digits = f"{nanoseconds:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""
