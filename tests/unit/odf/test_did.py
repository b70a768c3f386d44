import pytest

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import AccountID, DatasetID, DidKey, seeded_public_key
from tests.unit.odf.reference import vectors

KEY = bytes(range(32))


def test_dids_of_the_vectors() -> None:
    readers: dict[str, type[DatasetID | DidKey]] = {"parse_did_odf": DatasetID, "parse_did_key": DidKey}
    for case in (case for case in vectors("dids") if case["op"] in readers):
        expected = case["expected"]
        reader = readers[case["op"]]
        if expected.get("error"):
            with pytest.raises(InvalidError):
                reader.parse(case["input"])
            continue

        did = reader.parse(case["input"])

        assert did.public_key.hex() == expected["public_key_hex"], case["id"]
        assert did.to_bytes().hex() == expected["bytes_hex"]
        assert str(DatasetID.from_public_key(did.public_key)) == expected["did_odf"]
        assert str(DidKey.from_public_key(did.public_key)) == expected["did_key"]
        assert str(DidKey.parse(expected["did_key_base16"])) == expected["did_key"]


def test_seeded_ids_of_the_vectors() -> None:
    for case in (case for case in vectors("dids") if case["op"] == "seeded_test_id"):
        seed = case["input_utf8"].encode()

        assert str(DatasetID.seeded(seed)) == case["expected"]["did_odf"], case["id"]
        assert str(DidKey.seeded(seed)) == case["expected"]["did_key"]
        assert str(AccountID.seeded(seed)) == case["expected"]["did_odf"]


def test_account_ids_of_the_vectors() -> None:
    for case in (case for case in vectors("dids") if case["op"] == "parse_account_id"):
        expected = case["expected"]

        account = AccountID.parse(case["input"])

        assert str(account) == expected["round_trip"]
        assert account.is_wallet == (expected["kind"] == "did:pkh")
        if account.is_wallet:
            assert account.pkh_parts == (expected["namespace"], expected["chain_id"], expected["address"])


def test_a_wallet_without_its_prefix_is_its_address() -> None:
    account = AccountID.parse("did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a")

    assert account.id_without_did_prefix == "b9c5714089478a327f09197987f16f9e5d936e8a"
    assert account.public_key is None


def test_an_account_with_a_key_knows_it() -> None:
    account = AccountID.from_public_key(KEY)

    assert account.public_key == KEY
    assert account.id_without_did_prefix == DatasetID(KEY).as_multibase


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_an_error(key: bytes) -> None:
    with pytest.raises(InvalidError):
        DatasetID.from_public_key(key)


@pytest.mark.parametrize("text", ["", "did:pkh:eip155:1", "did:pkh:eip155::0x1", f"did:pkh:eip155:{'1' * 42}:0x1"])
def test_what_is_no_account_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        AccountID.parse(text)


def test_identifiers_of_different_sorts_are_never_equal() -> None:
    same_key: list[object] = [DatasetID(KEY), DidKey(KEY)]

    assert same_key[0] != same_key[1]


def test_the_zero_seed_still_gives_a_key() -> None:
    assert seeded_public_key(b"") == seeded_public_key(bytes(32)) != bytes(32)


def test_a_long_seed_is_refused() -> None:
    with pytest.raises(InvalidError):
        seeded_public_key(bytes(33))
