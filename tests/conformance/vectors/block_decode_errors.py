"""Bytes that are not a block."""

from typing import Any

from kamu_assets.odf.serde import flatbuffers
from tests.conformance.difference import DifferenceError, expect_refused


def check(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["bytes_hex"])
    refusal = expect_refused("block", lambda: flatbuffers.decode_block(raw))
    about_version = isinstance(refusal, flatbuffers.UnsupportedVersionError)
    if about_version != case["expected"]["error"].startswith("UnsupportedVersion"):
        raise DifferenceError(f"refused as {type(refusal).__name__}, theirs {case['expected']['error']}")
