"""The key that signs what a node answers: made once, kept private, never replaced behind anybody's back."""

import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from kamu_assets.auth.errors import DamagedKeyError, InvalidPrivateKeyError
from kamu_assets.auth.node_key import NodeKey, parse_private_key
from kamu_assets.odf.commitments import Commitment, verify
from kamu_assets.odf.multibase import encode_base16, encode_base58btc, encode_base64url
from kamu_assets.settings import SettingsError, load_settings

SECRET = bytes(range(32))
COMMITMENT = Commitment.to(query={"query": "select 1"}, answer={"data": []}, sub_queries=[])


def test_the_first_start_makes_a_key_that_the_second_uses(tmp_path: Path) -> None:
    first, second = (NodeKey(tmp_path / "keys", given=None) for _ in range(2))

    first.ensure()
    second.ensure()

    assert first.sign(COMMITMENT) == second.sign(COMMITMENT)
    verify(COMMITMENT, first.sign(COMMITMENT))
    assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.file.parent.stat().st_mode) == 0o700


def test_other_keys_are_derived_from_it_for_each_purpose(tmp_path: Path) -> None:
    key = NodeKey(tmp_path, given=encode_base16(SECRET))

    one, same, other = (key.derived(purpose) for purpose in ("one", "one", "other"))

    assert one == same
    assert len({one, other, SECRET}) == 3
    assert len(one) == 32


def test_two_nodes_are_not_the_same(tmp_path: Path) -> None:
    proofs = []
    for name in ("a", "b"):
        key = NodeKey(tmp_path / name, given=None)
        key.ensure()
        proofs.append(key.sign(COMMITMENT))

    assert proofs[0].verification_method != proofs[1].verification_method


@pytest.mark.parametrize("encode", [encode_base16, encode_base58btc, encode_base64url])
def test_a_key_can_be_brought_along(tmp_path: Path, encode: object) -> None:
    assert callable(encode)
    text = encode(SECRET)
    key = NodeKey(tmp_path / "keys", given=text)
    key.ensure()

    assert parse_private_key(text) == SECRET
    assert not key.file.exists()
    verify(COMMITMENT, key.sign(COMMITMENT))


@pytest.mark.parametrize("text", ["", "f00", "f" + "0" * 63, "f" + "g" * 64, "x" + "0" * 64, SECRET.hex()])
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidPrivateKeyError) as error:
        parse_private_key(text)

    assert not text or text not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"f0011\n", b"\xff\xfe"])
def test_a_damaged_key_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    key = NodeKey(tmp_path, given=None)
    key.file.write_bytes(content)

    with pytest.raises(DamagedKeyError, match=r"node\.key does not hold the key of this node: restore it"):
        key.ensure()

    assert key.file.read_bytes() == content


def test_a_bad_key_in_the_settings_is_named_and_not_shown(tmp_path: Path) -> None:
    wrong = "f" + "0" * 62

    with pytest.raises(SettingsError, match=r"identity\.ed25519_private_key: .*32 bytes") as error:
        load_settings(tmp_path, identity={"ed25519_private_key": wrong})

    assert wrong not in str(error.value)


def test_a_good_key_in_the_settings_is_not_shown_either(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, identity={"ed25519_private_key": encode_base16(SECRET)})

    assert settings.identity.ed25519_private_key == SecretStr(encode_base16(SECRET))
    assert SECRET.hex() not in repr(settings)
