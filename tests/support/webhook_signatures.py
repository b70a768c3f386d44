"""Checks signatures of deliveries as receivers do, knowing only the standards and what is told to receivers.

`verify_standard` follows RFC 9421, sections 2.2, 2.5 and 3.2: the base is put together from what `Signature-Input`
says, whatever that is. `verify_kamu` knows one fixed text. Neither shares code with what signs. `verify_by_library` is
somebody else's reading of the RFC.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re
from types import SimpleNamespace

from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature
from http_message_signatures.algorithms import HMAC_SHA256

from tests.support.webhook_receiver import Received

_NEXT_MEMBER = re.compile(r", (?=[a-z*][a-z0-9_.*-]*=[(:])")
_COMPONENT = re.compile(r'"([^"]+)"')


def members(header: str) -> dict[str, str]:
    """A dictionary of structured fields, its values as texts."""
    parts = [member.partition("=") for member in _NEXT_MEMBER.split(header)]
    return {label: value for label, _, value in parts}


def base_of(request: Received, label: str, *, method: str = "POST") -> str:
    """The signature base by what the request says is covered."""
    parameters = members(request.headers["signature-input"])[label]
    covered = _COMPONENT.findall(parameters.partition(")")[0])
    derived = {
        "@method": method,
        "@path": request.target.partition("?")[0],
        "@authority": request.headers.get("host", ""),
    }
    lines = [f'"{name}": {derived[name] if name in derived else request.headers[name]}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}'])


def verify_standard(request: Received, secret: str, label: str = "rfc9421") -> bool:
    """By RFC 9421, the digest of the body (RFC 9530) included."""
    return _is_mac(base_of(request, label), request, label, secret) and _has_digest(request)


def verify_by_library(request: Received, secret: str) -> bool:
    """With a library for RFC 9421; the digest of the body is the receiver's to check."""
    message = SimpleNamespace(
        method=request.method, url=f"https://{request.headers['host']}{request.target}", headers={**request.headers}
    )
    verifier = HTTPMessageVerifier(signature_algorithm=HMAC_SHA256, key_resolver=_OneKey(secret))
    try:
        verifier.verify(message, max_age=dt.timedelta(days=36_500), expect_tag="kamu-webhook")
    except InvalidSignature:
        return False
    return _has_digest(request)


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, secret: str) -> None:
        self._secret = secret

    def resolve_public_key(self, key_id: str) -> bytes:
        assert key_id == "default"
        return self._secret.encode()


def verify_kamu(request: Received, secret: str) -> bool:
    """As receivers of kamu's webhooks do."""
    created = re.search(r"created=(\d+)", members(request.headers["signature-input"])["sig1"])
    assert created is not None
    base = (
        "@method: POST\n"
        f"@path: {request.target.split('?')[0]}\n"
        f"@authority: {request.headers['host']}\n"
        f'"x-webhook-timestamp": {request.headers["x-webhook-timestamp"]}\n'
        f'"content-digest": {request.headers["content-digest"]}\n'
        '"@signature-params": (@method @path @authority "x-webhook-timestamp" "content-digest")\n'
        f';keyid="default";alg="hmac-sha256";created={created[1]}'
    )
    return _is_mac(base, request, "sig1", secret) and _has_digest(request)


def _is_mac(base: str, request: Received, label: str, secret: str) -> bool:
    given = base64.b64decode(members(request.headers["signature"])[label].strip(":"))
    return hmac.compare_digest(given, hmac.new(secret.encode(), base.encode(), hashlib.sha256).digest())


def _has_digest(request: Received) -> bool:
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    return request.headers["content-digest"] == f"sha-256=:{digest}:"
