"""What must not be read in a log."""

from __future__ import annotations

import pytest

from kamu_assets.monitoring.secrets import HIDDEN, SecretHider


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot connect to postgresql+psycopg2://kamu:hunter2@db:5432/kamu", "hunter2"),
        ("cannot connect to postgresql://kamu:p@ss:w/rd%#?&=+é@db/kamu", "p@ss:w/rd%#?&=+é"),
        ("redis://:se/cr+et=@cache:6379 is gone", "se/cr+et="),
        ("GET https://example.org/data.csv?format=csv&api_key=abc123&page=2 gave 401", "abc123"),
        ("https://bucket.example.org/x?X-Amz-Signature=feed01&X-Amz-Date=1", "feed01"),
        ("sent authorization: Bearer eyJhbGciOi.payload.sig-nature", "eyJhbGciOi.payload.sig-nature"),
        ("sent Authorization: Basic YWxpY2U6c2VjcmV0", "YWxpY2U6c2VjcmV0"),
        ("{'Authorization': 'Token abc123'}", "abc123"),
        ("Cookie: session=abc123; other=def", "abc123"),
        ("GET https://abc123@example.org/data.csv gave 404", "abc123"),
        ("no access with AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        ("host=db password='it is abc123' user=x", "abc123"),
        ('{"apiKey": "abc\\"123", "page": 2}', "123"),
        ("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----", "MIGHAgEA"),
        ("signed by whsec_abc123abc123", "abc123"),
    ],
)
def test_secrets_are_found_by_where_they_stand(text: str, secret: str) -> None:
    hidden = SecretHider().hide(text)

    assert secret not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:8080 is in use by another program",
        "API http://127.0.0.1:8080 (health: http://127.0.0.1:8080/system/health)",
        "dataset alice/key.figures has 3 records; see https://example.org/a?page=2",
        "Expected: end of statement, found token: from",
        "write to someone@example.org about the secret of it",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert SecretHider().hide(text) == text


def test_what_is_known_is_hidden_wherever_it_stands() -> None:
    hider = SecretHider(["correct horse", "a", ""])

    assert hider.hide("the correct horse was a battery") == f"the {HIDDEN} was a battery"


@pytest.mark.parametrize(
    "written", ["p@ss w/rd", "p%40ss%20w%2Frd", "p%40ss%20w/rd", "p%40ss+w%2Frd"], ids=["plain", "url", "path", "form"]
)
def test_what_is_known_is_hidden_however_it_is_written(written: str) -> None:
    assert SecretHider(["p@ss w/rd"]).hide(f"at {written} it failed") == f"at {HIDDEN} it failed"


def test_each_line_of_what_is_known_is_hidden() -> None:
    assert SecretHider().knowing(["first line\nsecond line"]).hide('"first line"') == f'"{HIDDEN}"'


def test_fields_are_searched_to_the_ground() -> None:
    hider = SecretHider()

    found = hider.hide_field(
        "request", {"headers": [{"Authorization": "x"}], "urls": ("redis://:pass@host",), "records": 3, "ok": None}
    )

    assert found == {
        "headers": [{"Authorization": HIDDEN}],
        "urls": [f"redis://:{HIDDEN}@host"],
        "records": 3,
        "ok": None,
    }


def test_objects_are_shown_as_they_would_be_and_searched() -> None:
    class Source:
        def __str__(self) -> str:
            return "https://me:secret@example.org"

    assert SecretHider().hide_field("source", Source()) == f"https://me:{HIDDEN}@example.org"
