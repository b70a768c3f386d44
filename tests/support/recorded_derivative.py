"""One folder of a recorded derivative scenario (recorded: README-derivatives)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block
from tests.support.recorded_folder import Json, RecordedFolder, read_expected, read_script

_FUNCTION = re.compile(r"\b(\w+)\s*\(")
_FROM = re.compile(r"\bfrom\s+information_schema\b", re.IGNORECASE)
_OPTIONS = ("resetDerivativesOnDivergedInput",)


@dataclass(frozen=True)
class Recording(RecordedFolder):
    """Of derivatives (recorded: README-derivatives)."""

    @classmethod
    def load(cls, folder: Path) -> "Recording":
        return cls(folder, read_script(folder), read_expected(folder))

    def needs(self, step: Json) -> Iterator[str]:
        """What a node must be able to do for a step: operation, options, and the functions that its queries call."""
        yield step["op"]
        yield from (option for option in _OPTIONS if step.get(option))
        if step["op"] == "pull":
            for name in step["datasets"]:
                yield from self._functions(name)

    def kind(self, name: str) -> DatasetKind:
        return DatasetKind(self.expected["datasets"][name]["kind"])

    def dataset_id(self, name: str) -> DatasetID:
        return DatasetID.parse(self.expected["datasets"][name]["id"])

    def keeps(self, name: str, block: str) -> bool:
        """Whether a block was still there in the end; deleting a dataset takes its blocks along."""
        return (self.folder / "datasets" / name / "blocks" / block).exists()

    def raw_blocks(self, name: str, change: Json) -> list[bytes]:
        """The blocks between two heads, oldest first."""
        found: list[bytes] = []
        block = Multihash.parse(change["after"])
        while str(block) != change["before"]:
            found.append((self.folder / "datasets" / name / "blocks" / str(block)).read_bytes())
            previous = decode_block(found[-1]).prev_block_hash
            if previous is None:
                break
            block = previous
        return found[::-1]

    def _functions(self, name: str) -> Iterator[str]:
        for block in self.expected["datasets"].get(name, {}).get("blocks", ()):
            event = block["event"]
            if event["kind"] == "SetTransform":
                for query in event["transform"].get("queries", ()):
                    yield from _FUNCTION.findall(query["query"])
                    yield from ["information_schema"] * bool(_FROM.search(query["query"]))
