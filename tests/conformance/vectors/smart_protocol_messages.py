"""Frames of the transfer protocol, read and written; batches of blocks, unpacked, hashed and chained."""

import base64
import json
import re
from typing import Any

from pydantic import BaseModel

from kamu_assets.coordinator.sync import messages
from kamu_assets.coordinator.sync.block_batch import pack_blocks, unpack_blocks
from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.serde import flatbuffers
from tests.conformance.difference import DifferenceError, expect

# What comes when (ODF: Smart Transfer Protocol); case ids name the flow and the number of the frame in it.
FLOWS: dict[str, dict[int, type[BaseModel]]] = {
    "pull": {
        1: messages.PullRequest,
        2: messages.PullResponse,
        3: messages.Empty,
        4: messages.PullBlocks,
        5: messages.PullObjectsRequest,
        6: messages.PullObjectsResponse,
    },
    "push": {
        1: messages.PushRequest,
        2: messages.PushResponse,
        3: messages.PushBlocks,
        4: messages.PushResponse,
        5: messages.PushObjectsRequest,
        6: messages.PushObjectsResponse,
        7: messages.Empty,
        8: messages.PushProgress,
        9: messages.Empty,
        10: messages.Empty,
    },
}


def check(case: dict[str, Any]) -> None:
    if "message" in case:
        _check_frame(case["id"], case["message"])
    else:
        _check_batch(base64.b64decode(case["payload_base64"]), case["expected"])


def _check_frame(case_id: str, frame: Any) -> None:
    place = re.search(r"(pull|push)/(\d+)", case_id)
    kind = FLOWS[place[1]].get(int(place[2])) if place else None
    if kind is not None:
        expect(kind.__name__, ours=_again(kind, frame), theirs=frame)
    elif not any(_reads(kind, frame) for flow in FLOWS.values() for kind in flow.values()):
        raise DifferenceError("no message of the protocol reads this frame")


def _again(kind: type[BaseModel], frame: Any) -> Any:
    return json.loads(messages.dump_message(messages.parse_message(kind, json.dumps(frame))))


def _reads(kind: type[BaseModel], frame: Any) -> bool:
    try:
        return bool(_again(kind, frame) == frame)
    except InvalidError:
        return False


def _check_batch(payload: bytes, expected: dict[str, Any]) -> None:
    announced = {key: expected[key] for key in ("num_blocks", "media_type", "encoding")}
    blocks = unpack_blocks(messages.BlocksBatch(**announced, payload=payload))
    expect("entries", ours=[str(block.hash) for block in blocks], theirs=expected["entries_in_order"])
    expect("packed again", ours=unpack_blocks(pack_blocks(blocks)) == blocks, theirs=True)
    state = ChainState.empty()
    for raw in blocks:
        found, block = flatbuffers.block_hash(raw.data), flatbuffers.decode_block(raw.data)
        expect("hash", ours=str(found), theirs=str(raw.hash))
        # A batch may continue a chain whose beginning is elsewhere.
        if state.head is not None or block.prev_block_hash is None:
            check_append(state, block)
            state = state.extend(found, block)
