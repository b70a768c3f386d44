"""The parts of the reference material that tests of the ODF library read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.reference import reference_folder


def vectors(name: str) -> list[Any]:
    """The cases of one vector file."""
    return list(json.loads((reference_folder() / "odf" / "vectors" / f"{name}.json").read_text())["cases"])


def recorded_chains() -> Iterator[Path]:
    """Folders of recorded datasets, each with `blocks` and `refs/head`."""
    recorded = reference_folder() / "odf" / "recorded"
    yield from sorted(path.parent for path in recorded.glob("*/dataset/blocks"))
    yield from sorted(path.parent for path in recorded.glob("*/datasets/*/blocks"))
