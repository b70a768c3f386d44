from typing import Any

import pytest
from pydantic import ValidationError

from kamu_assets.odf.canonical_json import canonical_json
from kamu_assets.odf.commitments import BadSignatureError, Commitment, Proof, hash_json, sign, verify
from tests.unit.odf.vectors import cases

KEY = bytes(range(32))
COMMITMENT = Commitment.to(query={"query": "select 1"}, answer={"data": [{"x": 1.5}]}, sub_queries=[])


@pytest.mark.parametrize("case", cases("query_commitments"))
def test_commitments_and_signatures_are_those_of_upstream(case: dict[str, Any]) -> None:
    expected = case["expected"]

    commitment = Commitment.to(query=case["input"], answer=case["output"], sub_queries=case["subQueries"])
    proof = sign(commitment, bytes.fromhex(case["private_key_hex"]))

    assert canonical_json(case["input"]).decode() == expected["canonical_input"]
    assert canonical_json(case["output"]).decode() == expected["canonical_output"]
    assert commitment.model_dump(mode="json", by_alias=True) == expected["commitment"]
    assert proof.model_dump(mode="json", by_alias=True) == expected["proof"]
    verify(Commitment.model_validate(expected["commitment"]), Proof.model_validate(expected["proof"]))


def test_another_commitment_is_not_covered_by_the_proof() -> None:
    other = COMMITMENT.model_copy(update={"output_hash": hash_json({"data": [{"x": 2.5}]})})

    with pytest.raises(BadSignatureError, match="not signed by did:key:"):
        verify(other, sign(COMMITMENT, KEY))


def test_the_proof_of_another_key_is_refused() -> None:
    theirs = sign(COMMITMENT, bytes(32))
    forged = theirs.model_copy(update={"verification_method": sign(COMMITMENT, KEY).verification_method})

    with pytest.raises(BadSignatureError):
        verify(COMMITMENT, forged)


@pytest.mark.parametrize("value", ["", "u", "uAAAA", "not multibase", "u" + "A" * 86])
def test_a_proof_value_that_is_no_signature_is_refused(value: str) -> None:
    proof = sign(COMMITMENT, KEY).model_copy(update={"proof_value": value})

    with pytest.raises(BadSignatureError):
        verify(COMMITMENT, proof)


def test_a_proof_of_another_type_is_not_read() -> None:
    document = sign(COMMITMENT, KEY).model_dump(mode="json", by_alias=True) | {"type": "RsaSignature2018"}

    with pytest.raises(ValidationError):
        Proof.model_validate(document)
