import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.multihash import Multicodec, Multihash, decode_varint, encode_varint
from tests.unit.odf.reference import vectors


def test_multihashes_of_the_vectors_read_and_write_alike() -> None:
    for case in (case for case in vectors("multiformats") if case["op"] == "parse_multihash"):
        expected = case["expected"]
        if expected.get("error"):
            with pytest.raises(InvalidError):
                Multihash.parse(case["input"])
            continue

        parsed = Multihash.parse(case["input"])

        assert (parsed.codec, parsed.codec.codec_name) == (expected["code"], expected["code_name"]), case["id"]
        assert parsed.digest.hex() == expected["digest_hex"]
        assert parsed.to_bytes().hex() == expected["bytes_hex"]
        assert (str(parsed), parsed.short) == (expected["base16"], expected["short"])
        assert multibase.encode_base58btc(parsed.to_bytes()) == expected["base58btc"]
        assert multibase.encode_base64url(parsed.to_bytes()) == expected["base64url"]


def test_digests_of_the_vectors() -> None:
    for case in (case for case in vectors("multiformats") if case["op"] == "digest_sha3_256"):
        assert str(Multihash.sha3_256(case["input_utf8"].encode())) == case["expected"]["base16"], case["id"]


def test_codes_of_the_vectors() -> None:
    for case in (case for case in vectors("multiformats") if case["op"] == "multicodec"):
        codec = Multicodec.by_name(case["input"])

        assert (codec, codec.to_varint().hex()) == (case["expected"]["code"], case["expected"]["varint_hex"])


@given(st.binary(max_size=64))
def test_every_base_gives_the_bytes_back(data: bytes) -> None:
    for encode in (multibase.encode_base16, multibase.encode_base58btc, multibase.encode_base64url):
        assert multibase.decode(encode(data)) == data


@pytest.mark.parametrize("text", ["", "x00", "f0", "f 0", "fzz", "u=", "uA", "uAB", "u\u00e9", "z0", "f" + "0" * 5000])
def test_text_in_no_base_is_refused(text: str) -> None:
    with pytest.raises(multibase.MultibaseError):
        multibase.decode(text)


@given(st.binary(max_size=48))
def test_any_bytes_are_a_multihash_or_refused(data: bytes) -> None:
    try:
        parsed = Multihash.from_bytes(data)
    except InvalidError:
        return

    assert parsed.to_bytes() == data


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_varints_round_trip(number: int) -> None:
    assert decode_varint(encode_varint(number) + b"rest") == (number, b"rest")
