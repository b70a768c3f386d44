"""Blocks as JSON and as bytes, in both directions."""

from typing import Any

from kamu_assets.odf.serde import flatbuffers
from kamu_assets.odf.serde.yaml import block_from_json, block_to_json
from tests.conformance.difference import expect


def check(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["bytes_hex"])
    encoded = flatbuffers.encode_block(block_from_json(case["block"]), version=case["manifest_version"])
    expect("bytes", ours=encoded, theirs=raw)
    expect("hash", ours=str(flatbuffers.block_hash(raw)), theirs=case["hash"])
    expect("size", ours=len(encoded), theirs=case.get("size", len(raw)))
    check_decoding(raw, version=case["manifest_version"], block=case["block"])


def check_decoding(raw: bytes, *, version: int, block: dict[str, Any]) -> None:
    """The whole block, its header alone, and the same bytes again."""
    found_version, found = flatbuffers.decode_manifest(raw)
    expect("version", ours=found_version, theirs=version)
    expect("block", ours=block_to_json(found), theirs=block)
    expect("bytes of the decoded block", ours=flatbuffers.encode_block(found, version=version), theirs=raw)
    header = flatbuffers.decode_header(raw)
    expect("header version", ours=header.version, theirs=version)
    expect("header time", ours=str(header.system_time), theirs=block["systemTime"])
    expect("header sequence number", ours=header.sequence_number, theirs=block["sequenceNumber"])
    prev = header.prev_block_hash
    expect("header link", ours=None if prev is None else str(prev), theirs=block.get("prevBlockHash"))
    name = header.event_kind.name.replace("_", "").lower()
    expect("header event", ours=name, theirs=block["event"]["kind"].lower())
