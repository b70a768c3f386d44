"""The verifier's own chain rules: blocks that hash well and still may not follow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.support.verifier import blocks
from tests.support.verifier.blocks import Block, Data, Input, Slice
from tests.support.verifier.chain import Chain
from tests.support.verifier.multiformats import text

INPUT = b"\xed\x01" + bytes(32)
Change = Callable[[Block], Block]


def _name(number: int) -> bytes:
    return bytes([number])


def _data(start: int, end: int, *, inputs: tuple[Input, ...] = ()) -> Data:
    return Data(
        prev_checkpoint=None,
        prev_offset=start - 1 if start else None,
        slice=Slice(b"logical", b"physical", start, end, 1),
        checkpoint=None,
        watermark=100 + end,
        inputs=inputs,
    )


def _root() -> list[Block]:
    return _numbered(
        {"kind": blocks.SEED, "dataset_id": b"id"},
        {"kind": blocks.SET_DATA_SCHEMA},
        {"kind": blocks.ADD_DATA, "data": _data(0, 9)},
        {"kind": blocks.ADD_DATA, "data": _data(10, 19)},
    )


def _derivative() -> list[Block]:
    first = Input(INPUT, None, b"a", None, 5)
    second = Input(INPUT, b"a", b"b", 5, 8)
    return _numbered(
        {"kind": blocks.SEED, "dataset_id": b"id", "derivative": True},
        {"kind": blocks.SET_TRANSFORM, "transform_inputs": (f"did:odf:{text(INPUT)}",)},
        {"kind": blocks.SET_DATA_SCHEMA},
        {"kind": blocks.EXECUTE_TRANSFORM, "data": _data(0, 9, inputs=(first,))},
        {"kind": blocks.EXECUTE_TRANSFORM, "data": _data(10, 19, inputs=(second,))},
    )


def _numbered(*events: dict[str, Any]) -> list[Block]:
    return [
        Block(
            version=3, system_time=number, prev=_name(number - 1) if number else None, sequence_number=number, **event
        )
        for number, event in enumerate(events)
    ]


def _walk(chain: list[Block]) -> None:
    state = Chain()
    for number, block in enumerate(chain):
        state.follow(_name(number), block)


def _with_data(**changes: Any) -> Change:
    return lambda block: replace(block, data=replace(block.data, **changes) if block.data else None)


def _with_slice(**changes: Any) -> Change:
    def change(block: Block) -> Block:
        assert block.data
        assert block.data.slice
        return replace(block, data=replace(block.data, slice=replace(block.data.slice, **changes)))

    return change


def _with_input(**changes: Any) -> Change:
    def change(block: Block) -> Block:
        assert block.data
        return replace(block, data=replace(block.data, inputs=(replace(block.data.inputs[0], **changes),)))

    return change


@pytest.mark.parametrize("chain", [_root(), _derivative()])
def test_a_sound_chain_is_sound(chain: list[Block]) -> None:
    _walk(chain)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda block: replace(block, prev=_name(1)), "previous block"),
        (lambda block: replace(block, sequence_number=5), "sequence number 5"),
        (lambda block: replace(block, system_time=0), "system time goes back"),
        (lambda block: replace(block, kind=blocks.SEED), "a Seed is the first"),
        (lambda block: replace(block, kind=blocks.EXECUTE_TRANSFORM), "other kind"),
        (_with_data(prev_offset=8), "prevOffset"),
        (_with_data(prev_offset=None), "prevOffset"),
        (_with_data(watermark=100), "watermark goes back"),
        (_with_data(watermark=None), "watermark goes back"),
        (_with_data(prev_checkpoint=b"other"), "prevCheckpoint"),
        (_with_slice(start=11), "starts at 11, not 10"),
        (_with_slice(end=9), "ends before it starts"),
        (lambda block: replace(block, data=Data(None, 9, None, None, None)), "empty event"),
    ],
)
def test_a_newest_block_that_may_not_follow_is_noticed(change: Change, complaint: str) -> None:
    *rest, newest = _root()

    with pytest.raises(ValueError, match=complaint):
        _walk([*rest, change(newest)])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_with_data(inputs=()), "not those of the transform"),
        (_with_input(dataset_id=b"\xed\x01" + b"x" * 32), "not those of the transform"),
        (_with_input(prev_block=b"z"), "input interval does not continue"),
        (_with_input(prev_block=None), "input interval does not continue"),
        (_with_input(prev_offset=4), "input offsets do not continue"),
        (_with_input(new_block=b"a"), "input interval is empty"),
        (_with_input(new_block=None), "new input offset without a new block"),
        (_with_input(new_offset=5), "input offsets are empty"),
        (lambda block: replace(block, kind=blocks.ADD_DATA), "other kind"),
    ],
)
def test_a_transform_over_other_inputs_is_noticed(change: Change, complaint: str) -> None:
    *rest, newest = _derivative()

    with pytest.raises(ValueError, match=complaint):
        _walk([*rest, change(newest)])


def test_a_chain_without_a_seed_is_noticed() -> None:
    with pytest.raises(ValueError, match="previous block"):
        _walk(_root()[1:])


def test_data_before_the_schema_is_noticed() -> None:
    seed, _, data, _ = _root()

    with pytest.raises(ValueError, match="before any SetDataSchema"):
        _walk([seed, replace(data, prev=_name(0), sequence_number=1)])
