"""Reads the reference material that lies outside of the repository, where there is some."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def reference_dir() -> Path:
    """`KAMU_REFERENCE_DIR`, or `shared` beside the checkout; skips the test when absent."""
    path = Path(os.environ.get("KAMU_REFERENCE_DIR", ROOT.parent / "shared"))
    if not path.is_dir():
        pytest.skip("needs the reference material, see KAMU_REFERENCE_DIR")
    return path


def vectors(name: str) -> list[Any]:
    """The cases of one vector file."""
    return list(json.loads((reference_dir() / "odf" / "vectors" / f"{name}.json").read_text())["cases"])


def recorded_chains() -> Iterator[Path]:
    """Folders of recorded datasets, each with `blocks` and `refs/head`."""
    recorded = reference_dir() / "odf" / "recorded"
    yield from sorted(path.parent for path in recorded.glob("*/dataset/blocks"))
    yield from sorted(path.parent for path in recorded.glob("*/datasets/*/blocks"))
