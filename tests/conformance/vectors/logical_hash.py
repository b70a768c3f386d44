"""Hashes of data by its content."""

import base64
from typing import Any

import pyarrow as pa

from kamu_assets.odf.data_hash import LogicalHasher
from kamu_assets.odf.multihash import Multihash
from tests.conformance.difference import expect, expect_refused


def check(case: dict[str, Any]) -> None:
    raw = base64.b64decode(case["arrow_ipc_stream_base64"])
    if "error" in case["expected"]:
        expect_refused("data", lambda: _hash(raw))
    else:
        expect("logical hash", ours=str(_hash(raw)), theirs=case["expected"]["logical_hash"])


def _hash(raw: bytes) -> Multihash:
    reader = pa.ipc.open_stream(raw)
    # The vectors were hashed batch by batch as they are; batches matter for nulls in structs.
    hasher = LogicalHasher(reader.schema, struct_batch_rows=None)
    for batch in reader:
        hasher.update(batch)
    return hasher.digest()
