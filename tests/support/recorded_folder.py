"""One folder of a recorded scenario: its script and what came of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Json = Mapping[str, Any]


@dataclass(frozen=True)
class RecordedFolder:
    """What was done, and what came of it."""

    folder: Path
    script: Json
    expected: Json

    @property
    def name(self) -> str:
        found: str = self.script["name"]
        return found

    @property
    def steps(self) -> Sequence[Json]:
        found: Sequence[Json] = self.script["steps"]
        return found


def read_script(folder: Path) -> Json:
    """What was done there."""
    script: Json = YAML(typ="safe", pure=True).load((folder / "scenario.yaml").read_text())
    return script


def read_expected(folder: Path) -> Json:
    """What came of it."""
    expected: Json = json.loads((folder / "expected.json").read_text())
    return expected
