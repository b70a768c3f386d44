"""Answers that can be held against the one who gave them."""

from typing import Any

from kamu_assets.odf.canonical_json import canonical_json
from kamu_assets.odf.commitments import Commitment, hash_json, sign, verify
from tests.conformance.difference import expect
from tests.conformance.vectors._json import to_json


def check(case: dict[str, Any]) -> None:
    expected = case["expected"]
    for part in ("input", "output"):
        text = expected.get(f"canonical_{part}")
        if text is not None:
            expect(f"canonical {part}", ours=canonical_json(case[part]).decode(), theirs=text)
    commitment = Commitment(
        input_hash=hash_json(case["input"]),
        output_hash=hash_json(case["output"]),
        sub_queries_hash=hash_json(case["subQueries"]),
    )
    expect("commitment", ours=to_json(commitment), theirs=expected["commitment"])
    expect(
        "canonical commitment",
        ours=canonical_json(to_json(commitment)).decode(),
        theirs=expected["canonical_commitment"],
    )
    proof = sign(commitment, bytes.fromhex(case["private_key_hex"]))
    expect("proof", ours=to_json(proof), theirs=expected["proof"])
    verify(commitment, proof)
