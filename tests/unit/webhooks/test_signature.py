"""What is signed, byte by byte, and that nothing else verifies (trial WH-09)."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import re
from collections.abc import Callable

import pytest

from kamu_assets.webhooks.model import EventType
from kamu_assets.webhooks.signature import Origin, SignedRequest, headers, signature_base, standard_base
from tests.support.webhook_receiver import Received
from tests.support.webhook_signatures import base_of, verify_by_library, verify_kamu, verify_standard

Verify = Callable[[Received, str], bool]
SECRET = "f8cf680337df07b0e95c90c478842a49ef65ea7b9a27da40e18b2c01ddf1550c"
BODY = b'{"version":2}'
# printf '{"version":2}' | openssl dgst -sha256 -binary | base64
DIGEST = "sha-256=:cyMiwSjtZ4Qe9apCx80E/810phstF9cQzVArcT1ikw0=:"
REQUEST = SignedRequest(path="/kamu", authority="hooks.example.org", body=BODY, moment=1_700_000_000)
ORIGIN = Origin("d-1", "s-1", EventType.DATASET_REF_UPDATED, 2)


def received(request: SignedRequest = REQUEST, secret: str = SECRET) -> Received:
    """How the receiver sees it."""
    sent = {"host": request.authority, **headers(request, ORIGIN, secret)}
    return Received("POST", f"{request.path}?a=1", sent, request.body)


def changed(request: Received, **headers_: str) -> Received:
    new = {name.replace("_", "-"): value for name, value in headers_.items()}
    return dataclasses.replace(request, headers={**request.headers, **new})


def test_the_headers_are_those_of_the_contract() -> None:
    sent = headers(REQUEST, ORIGIN, SECRET)

    assert {name: value for name, value in sent.items() if not name.startswith("signature")} == {
        "content-type": "application/json",
        "content-digest": DIGEST,
        "x-webhook-timestamp": "1700000000",
        "x-webhook-delivery-id": "d-1",
        "x-webhook-subscription-id": "s-1",
        "x-webhook-event-type": "DATASET.REF.UPDATED",
        "x-webhook-delivery-attempt": "2",
    }


def test_the_base_is_the_text_of_the_contract() -> None:
    assert signature_base(REQUEST) == (
        "@method: POST\n"
        "@path: /kamu\n"
        "@authority: hooks.example.org\n"
        '"x-webhook-timestamp": 1700000000\n'
        f'"content-digest": {DIGEST}\n'
        '"@signature-params": (@method @path @authority "x-webhook-timestamp" "content-digest")\n'
        ';keyid="default";alg="hmac-sha256";created=1700000000'
    )


def test_the_base_of_the_standard_is_what_the_request_says() -> None:
    assert base_of(received(), "rfc9421") == standard_base(REQUEST)


def test_the_signature_is_an_hmac_with_the_text_of_the_secret() -> None:
    made = base64.b64encode(hmac.digest(SECRET.encode(), signature_base(REQUEST).encode(), hashlib.sha256)).decode()

    assert headers(REQUEST, ORIGIN, SECRET)["signature"].startswith(f"sig1=:{made}:, rfc9421=:")


def test_the_checking_code_knows_the_example_of_the_standard() -> None:
    # RFC 9421, appendix B.2.5.
    key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    request = Received(
        "POST",
        "/foo?param=Value&Pet=dog",
        {
            "host": "example.com",
            "date": "Tue, 20 Apr 2021 02:07:55 GMT",
            "content-type": "application/json",
            "signature-input": 'sig-b25=("date" "@authority" "content-type");'
            'created=1618884473;keyid="test-shared-secret"',
        },
        b'{"hello": "world"}',
    )

    mac = hmac.digest(base64.b64decode(key), base_of(request, "sig-b25").encode(), hashlib.sha256)

    assert base64.b64encode(mac) == b"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


@pytest.mark.parametrize("verify", [verify_kamu, verify_standard, verify_by_library])
class TestVerification:
    """WH-09"""

    def test_the_untouched_request_verifies(self, verify: Verify) -> None:
        assert verify(received(), SECRET)

    def test_with_another_secret_it_does_not(self, verify: Verify) -> None:
        assert not verify(received(), SECRET[::-1])

    def test_with_another_body_it_does_not(self, verify: Verify) -> None:
        assert not verify(dataclasses.replace(received(), body=BODY + b" "), SECRET)

    def test_with_the_digest_of_another_body_it_does_not(self, verify: Verify) -> None:
        digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
        forged = dataclasses.replace(changed(received(), content_digest=f"sha-256=:{digest}:"), body=b"{}")

        assert not verify(forged, SECRET)

    def test_with_another_path_it_does_not(self, verify: Verify) -> None:
        assert not verify(dataclasses.replace(received(), target="/other"), SECRET)

    def test_for_another_host_it_does_not(self, verify: Verify) -> None:
        assert not verify(changed(received(), host="evil.example.org"), SECRET)

    def test_at_another_time_it_does_not(self, verify: Verify) -> None:
        assert not verify(changed(received(), x_webhook_timestamp="1700000001"), SECRET)

    def test_created_at_another_time_it_does_not(self, verify: Verify) -> None:
        request = received()
        later = re.sub(r"created=\d+", "created=1700009999", request.headers["signature-input"])

        assert not verify(changed(request, signature_input=later), SECRET)
