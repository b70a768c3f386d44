"""Identifiers of datasets, accounts and keys."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kamu_assets.odf import multibase
from kamu_assets.odf.did import AccountID, DatasetID, DidKey
from kamu_assets.odf.multihash import decode_codec
from tests.conformance.difference import DifferenceError, expect, expect_refused

PARSERS = {"parse_did_key": DidKey.parse, "parse_did_odf": DatasetID.parse, "parse_account_id": AccountID.parse}


def check(case: dict[str, Any]) -> None:
    expected = case["expected"]
    match case["op"]:
        case op if op in PARSERS and "error" in expected:
            expect_refused("identifier", lambda: PARSERS[op](case["input"]))
        case "parse_did_key":
            _expect_facts(_facts_of_key(DidKey.parse(case["input"]).public_key), expected)
        case "parse_did_odf":
            _expect_facts(_facts_of_key(DatasetID.parse(case["input"]).public_key), expected)
        case "parse_account_id":
            _expect_facts(_facts_of_account(AccountID.parse(case["input"])), expected)
        case "seeded_test_id" if "error" in expected:
            expect_refused("seed", lambda: DatasetID.seeded(case["input_utf8"].encode()))
        case "seeded_test_id":
            _expect_facts(_facts_of_key(DatasetID.seeded(case["input_utf8"].encode()).public_key), expected)
        case "keypair":
            _expect_facts(_facts_of_pair(**case["input"]), expected)
        case op:
            raise DifferenceError(f"unknown op `{op}`")


def _expect_facts(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    expect("identifier", ours={key: ours.get(key) for key in expected}, theirs=expected)


def _facts_of_key(key: bytes) -> dict[str, Any]:
    dataset, did_key = DatasetID.from_public_key(key), DidKey.from_public_key(key)
    codec, _ = decode_codec(dataset.to_bytes())
    return {
        "key_type": codec.codec_name,
        "public_key_hex": key.hex(),
        "bytes_hex": dataset.to_bytes().hex(),
        "did_odf": str(dataset),
        "did_key": str(did_key),
        "did_key_base16": f"did:key:{did_key.as_multibase}",
    }


def _facts_of_account(account: AccountID) -> dict[str, Any]:
    if account.pkh_parts is None:
        return {"kind": "did:odf", "round_trip": str(account)}
    namespace, chain, address = account.pkh_parts
    parts = {"namespace": namespace, "chain_id": chain, "address": address}
    return {"kind": "did:pkh", **parts, "round_trip": str(account)}


def _facts_of_pair(private_key_hex: str, message_utf8: str) -> dict[str, Any]:
    private = bytes.fromhex(private_key_hex)
    pair = Ed25519PrivateKey.from_private_bytes(private)
    return {
        **_facts_of_key(pair.public_key().public_bytes_raw()),
        "private_key_multibase": multibase.encode_base64url(private),
        "signature_multibase": multibase.encode_base64url(pair.sign(message_utf8.encode())),
    }
