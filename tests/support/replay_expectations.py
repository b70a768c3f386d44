"""Where a replay must not end as recorded: kamu does something of doubtful worth, we do something else on purpose.

`tests/conformance/expectations/<scenario>.toml` says why, and what we do instead:

    quirk = "<label of the recording>"
    reason = "…"
    blocks = 4                                   # length of the whole chain, if it differs
    [steps.s3]                                   # only what differs: outcome, kind, newBlocks
    newBlocks = 2
    [content.3]                                  # a block in place of the recorded one of this number
    json = '{…}'
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "conformance/expectations"


@dataclass(frozen=True)
class Expectation:
    """What we do in one scenario."""

    quirk: str
    reason: str
    length: int | None = None
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    content: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def blocks(self, recorded: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The recorded chain with our blocks in it."""
        length = len(recorded) if self.length is None else self.length
        return [self.content[number] if number in self.content else recorded[number] for number in range(length)]


def expectation_of(scenario: str) -> Expectation | None:
    path = FOLDER / f"{scenario}.toml"
    return load(path) if path.exists() else None


def load(path: Path) -> Expectation:
    found = tomllib.loads(path.read_text())
    return Expectation(
        quirk=found["quirk"],
        reason=found["reason"],
        length=found.get("blocks"),
        steps=found.get("steps", {}),
        content={int(number): json.loads(block["json"]) for number, block in found.get("content", {}).items()},
    )
