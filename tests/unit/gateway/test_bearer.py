"""Authorization headers, as RFC 6750 has them and as Kamu refuses the rest."""

import pytest

from kamu_gateway.edge.caller import bearer_token
from kamu_gateway.edge.errors import TextAnswerError


@pytest.mark.parametrize(
    ("header", "token"),
    [(None, None), ("Bearer abc", "abc"), ("bearer abc", "abc"), ("BEARER  abc ", "abc"), (" Bearer abc", "abc")],
)
def test_a_token_is_found_in_any_spelling_of_the_scheme(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b", "Bearerabc"])
def test_anything_else_is_malformed(header: str) -> None:
    with pytest.raises(TextAnswerError) as refusal:
        bearer_token(header)

    assert (refusal.value.status, refusal.value.text) == (400, "Invalid Bearer token header")
    assert refusal.value.media_type is None
