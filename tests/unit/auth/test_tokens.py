import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.auth.errors import InvalidTokenError
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.errors import DeniedError

TOKEN = AccessToken(bytes(range(16)), bytes(range(16, 32)))
TEXT = TOKEN.reveal()


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_token_is_read_as_it_was_given_out(identity: bytes, secret: bytes) -> None:
    token = AccessToken(identity, secret)

    assert AccessToken.parse(token.reveal()) == token
    assert len(token.reveal()) == 61


def test_letters_may_be_misread_or_lower_case() -> None:
    body = TEXT.removeprefix("ka_")

    assert AccessToken.parse("ka_" + body.lower().replace("0", "o").replace("1", "l")) == TOKEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ka_",
        TEXT[3:],
        TEXT[:-1],
        TEXT + "0",
        "kb_" + TEXT[3:],
        TEXT.replace("0", "U"),
        TEXT + "\n",
        "ka_" + "é" * 58,
    ],
)
def test_what_is_not_a_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError) as error:
        AccessToken.parse(text)

    assert isinstance(error.value, DeniedError)


def test_a_typing_mistake_in_the_secret_is_noticed_without_the_database() -> None:
    wrong = AccessToken(TOKEN.id, bytes(16)).reveal()

    with pytest.raises(InvalidTokenError):
        AccessToken.parse(TEXT[:30] + wrong[30:])


def test_only_the_holder_sees_the_secret() -> None:
    assert TOKEN.secret_hash == hashlib.sha3_256(TOKEN.secret).hexdigest()
    assert repr(TOKEN.secret) not in repr(TOKEN)
    assert TEXT not in str(TOKEN)


def test_a_token_matches_its_own_hash_only() -> None:
    assert TOKEN.matches(TOKEN.secret_hash)
    assert not TOKEN.matches(AccessToken(TOKEN.id, bytes(16)).secret_hash)


def test_generated_tokens_differ() -> None:
    assert AccessToken.generate() != AccessToken.generate()
