"""Hashes and codes as text and bytes."""

from typing import Any

from kamu_assets.odf import multibase
from kamu_assets.odf.multihash import Multicodec, Multihash
from tests.conformance.difference import DifferenceError, expect, expect_refused


def check(case: dict[str, Any]) -> None:
    match case["op"]:
        case "parse_multihash" if "error" in case["expected"]:
            expect_refused("multihash", lambda: Multihash.parse(case["input"]))
        case "parse_multihash":
            _check_parsed(Multihash.parse(case["input"]), case["expected"])
        case "digest_sha3_256":
            expect("hash", ours=str(Multihash.sha3_256(case["input_utf8"].encode())), theirs=case["expected"]["base16"])
        case "multicodec" if "error" in case["expected"]:
            expect_refused("multicodec", lambda: Multicodec.by_name(case["input"]))
        case "multicodec":
            codec = Multicodec.by_name(case["input"])
            ours = {"code": int(codec), "varint_hex": codec.to_varint().hex()}
            expect("multicodec", ours=ours, theirs=case["expected"])
        case op:
            raise DifferenceError(f"unknown op `{op}`")


def _check_parsed(found: Multihash, expected: dict[str, Any]) -> None:
    raw = found.to_bytes()
    ours = {
        "code": int(found.codec),
        "code_name": found.codec.codec_name,
        "digest_hex": found.digest.hex(),
        "bytes_hex": raw.hex(),
        "base16": str(found),
        "base58btc": multibase.encode_base58btc(raw),
        "base64url": multibase.encode_base64url(raw),
        "short": found.short,
    }
    expect("multihash", ours={key: ours.get(key) for key in expected}, theirs=expected)
    for text in (ours["base16"], ours["base58btc"], ours["base64url"]):
        expect(f"`{text}` read again", ours=Multihash.parse(str(text)).to_bytes(), theirs=raw)
    expect("bytes read again", ours=str(Multihash.from_bytes(raw)), theirs=str(found))
