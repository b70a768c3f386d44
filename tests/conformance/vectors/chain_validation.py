"""Appending to a chain: what may follow what, and which rule says no."""

from typing import Any

from kamu_assets.odf.chain_errors import ChainRuleError
from kamu_assets.odf.chain_rules import check_append, check_hash
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataBlock
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde import flatbuffers
from kamu_assets.odf.serde.yaml import block_from_json
from tests.conformance.difference import expect


def check(case: dict[str, Any]) -> None:
    state = ChainState.empty()
    for number, step in enumerate(case["steps"]):
        block = block_from_json(step["block"])
        raw = flatbuffers.encode_block(block, version=case["encoding_version"])
        found = flatbuffers.block_hash(raw)
        outcome = _outcome(state, block, found, step.get("appendOpts") or {})
        expect(f"step {number}", ours=outcome, theirs=step["expect"])
        if outcome == "Ok":
            expect(f"step {number} hash", ours=str(found), theirs=step.get("blockHash", str(found)))
            expect(f"step {number} size", ours=len(raw), theirs=step.get("blockSize", len(raw)))
            state = state.extend(found, block)


def _outcome(state: ChainState, block: MetadataBlock, found: Multihash, options: dict[str, str]) -> str:
    expected = options.get("expectedHash")
    try:
        check_append(state, block)
        check_hash(found, expected=None if expected is None else Multihash.parse(expected))
    except ChainRuleError as refusal:
        return refusal.rule
    # Moving the head is the work of whoever stores it; here only its place in the order is tested.
    if options.get("checkRefIs") not in {None, str(state.head)}:
        return "RefCASFailed"
    return "Ok"
