"""The rules of a metadata chain, walked from the Seed to the head (ODF: Metadata Chain, validation)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.verifier import blocks
from tests.support.verifier.blocks import Block, Column, Data, Input
from tests.support.verifier.multiformats import from_text, text

ROOT_ONLY = {blocks.ADD_DATA, blocks.SET_POLLING_SOURCE, blocks.ADD_PUSH_SOURCE}
DERIVATIVE_ONLY = {blocks.EXECUTE_TRANSFORM, blocks.SET_TRANSFORM}


@dataclass
class Chain:
    """What the blocks so far have established."""

    head: bytes | None = None
    length: int = 0
    system_time: int | None = None
    dataset_id: bytes | None = None
    derivative: bool = False
    has_schema: bool = False
    columns: tuple[Column, ...] | None = None
    vocab: tuple[str, ...] = blocks.DEFAULT_VOCAB
    last: Data | None = None
    last_query: tuple[Input, ...] = ()
    transform_inputs: tuple[str, ...] = ()
    slices: list[tuple[Block, tuple[Column, ...] | None, tuple[str, ...]]] = field(default_factory=list)

    @property
    def next_offset(self) -> int:
        last = self.last.last_offset if self.last else None
        return 0 if last is None else last + 1

    def follow(self, name: bytes, block: Block) -> None:
        """Check that `block` may come next, then take it in."""
        self._check_link(block)
        self._check_kind(block)
        if block.data:
            self._check_data(block.data)
        if block.kind == blocks.EXECUTE_TRANSFORM and block.data:
            self._check_inputs(block.data.inputs)
        self._take(name, block)

    def _check_link(self, block: Block) -> None:
        _demand(block.prev == self.head, "previous block is not the one before it")
        _demand(block.sequence_number == self.length, f"sequence number {block.sequence_number}, not {self.length}")
        earlier = self.system_time is not None and block.system_time < self.system_time
        _demand(not earlier, "system time goes back")

    def _check_kind(self, block: Block) -> None:
        _demand((block.kind == blocks.SEED) == (self.length == 0), "a Seed is the first block and no other")
        foreign = ROOT_ONLY if self.derivative else DERIVATIVE_ONLY
        _demand(block.kind not in foreign, f"{blocks.EVENT_NAMES[block.kind]} in a dataset of the other kind")

    def _check_data(self, data: Data) -> None:
        _demand(self.has_schema or data.slice is None, "data before any SetDataSchema")
        _demand(bool(data.slice or data.checkpoint or data.watermark is not None or data.source_state), "empty event")
        previous = self.last
        _demand(data.prev_offset == (previous.last_offset if previous else None), "prevOffset does not continue")
        if data.slice:
            _demand(data.slice.start == self.next_offset, f"data starts at {data.slice.start}, not {self.next_offset}")
            _demand(data.slice.end >= data.slice.start, "data ends before it starts")
        before = previous.checkpoint[0] if previous and previous.checkpoint else None
        _demand(data.prev_checkpoint == before, "prevCheckpoint is not the previous event's")
        if previous and previous.watermark is not None:
            _demand(data.watermark is not None and data.watermark >= previous.watermark, "watermark goes back")

    def _check_inputs(self, inputs: tuple[Input, ...]) -> None:
        named = tuple(from_text(ref.removeprefix("did:odf:")) for ref in self.transform_inputs)
        _demand(bool(named), "ExecuteTransform before any SetTransform")
        _demand(tuple(item.dataset_id for item in inputs) == named, "inputs are not those of the transform")
        before = {item.dataset_id: item for item in self.last_query}
        for item in inputs:
            self._check_input(item, before.get(item.dataset_id))

    @staticmethod
    def _check_input(item: Input, before: Input | None) -> None:
        _demand(item.prev_block == (before.last_block if before else None), "input interval does not continue")
        _demand(item.prev_offset == (before.last_offset if before else None), "input offsets do not continue")
        _demand(item.new_block is None or item.new_block != item.prev_block, "input interval is empty")
        _demand(item.new_offset is None or item.new_block is not None, "new input offset without a new block")
        _demand(item.new_offset is None or item.new_offset != item.prev_offset, "input offsets are empty")

    def _take(self, name: bytes, block: Block) -> None:
        self.head, self.length, self.system_time = name, self.length + 1, block.system_time
        if block.kind == blocks.SEED:
            self.dataset_id, self.derivative = block.dataset_id, block.derivative
        elif block.kind == blocks.SET_DATA_SCHEMA:
            self.has_schema, self.columns = True, block.columns
        elif block.kind == blocks.SET_VOCAB:
            self.vocab = block.vocab
        elif block.kind == blocks.SET_TRANSFORM:
            self.transform_inputs = block.transform_inputs
        elif block.data:
            self.last = block.data
            self.last_query = block.data.inputs or self.last_query
            self.slices.append((block, self.columns, self.vocab))


def describe(name: bytes) -> str:
    return f"blocks/{text(name)}"


def _demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence: demand a condition, otherwise …
    if not holds:
        raise ValueError(otherwise)
