"""What a recorded root scenario demands of a replay, step by step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.odf.serde.yaml import block_to_json
from tests.support.recorded_folder import Json, RecordedFolder, read_expected, read_script
from tests.support.replay_expectations import Expectation, expectation_of


@dataclass(frozen=True)
class WantedStep:
    """How one step has to end."""

    outcome: str
    kind: str
    new_blocks: int


@dataclass(frozen=True)
class Scenario(RecordedFolder):
    """With our own expectation where we do not copy what was recorded."""

    own: Expectation | None = None

    @classmethod
    def load(cls, folder: Path) -> "Scenario":
        script = read_script(folder)
        return cls(folder, script, read_expected(folder), expectation_of(script["name"]))

    def wanted(self, step: Json) -> WantedStep:
        """How a step has to end: as recorded, or as we have decided."""
        recorded = self._recorded(step)
        ours = self.own.steps.get(step["id"], {}) if self.own else {}
        return WantedStep(
            outcome=ours.get("outcome", recorded["outcome"]),
            kind=ours.get("kind", recorded.get("kind") or ""),
            new_blocks=ours.get("newBlocks", len(recorded["newBlocks"])),
        )

    def blocks_after(self, step: Json) -> list[Json]:
        """The chain as it has to be after a step, oldest first."""
        blocks = list(self._chain(self._recorded(step).get("head")))[::-1]
        return self.own.blocks(blocks) if self.own else blocks

    def needs(self, step: Json) -> Iterator[str]:
        """What a node must be able to do for a step: the operation, and what the events of the dataset mention."""
        yield step["op"]
        if step["op"] in ("pull", "ingest"):
            yield from self._kinds

    def _recorded(self, step: Json) -> Json:
        found: Json = next(one for one in self.expected["steps"] if one["id"] == step["id"])
        return found

    def _chain(self, head: str | None) -> Iterator[Json]:
        block = Multihash.parse(head) if head else None
        while block is not None:
            content = decode_block((self.folder / "dataset/blocks" / str(block)).read_bytes())
            yield block_to_json(content)
            block = content.prev_block_hash

    @cached_property
    def _kinds(self) -> list[str]:
        return sorted(set(_kinds(list(self.expected.get("blocks") or ()))))


def _kinds(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("kind"), str):
            yield value["kind"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _kinds(part)
