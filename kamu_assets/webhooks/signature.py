"""How receivers know that a delivery is ours: two signatures of one request (RFC 9421, HMAC-SHA256).

Both cover method, path, host, time and the digest of the body, and so the body. `sig1` is made as receivers of kamu's
webhooks expect it: names of derived components unquoted, parameters on a line of their own. `rfc9421` is made by the
letter of the standard, for its libraries; they find it by its label or by its tag.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kamu_assets.webhooks.model import EventType

KEY_ID = "default"
ALGORITHM = "hmac-sha256"
LABEL = "sig1"
STANDARD_LABEL = "rfc9421"
TAG = "kamu-webhook"
_TIMESTAMP = "x-webhook-timestamp"
_DIGEST = "content-digest"
_DERIVED = ("@method", "@path", "@authority")
_FIELDS = (_TIMESTAMP, _DIGEST)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a delivery sends."""

    path: str
    # Host, and port if it is not the usual one.
    authority: str
    body: bytes
    # Seconds since the epoch.
    moment: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What a delivery says of itself."""

    delivery: str
    subscription: str
    event_type: EventType
    attempt: int


def headers(request: SignedRequest, origin: Origin, secret: str) -> Mapping[str, str]:
    """All headers of a delivery but those of every request."""
    return {
        "content-type": "application/json",
        _DIGEST: content_digest(request.body),
        _TIMESTAMP: str(request.moment),
        "x-webhook-delivery-id": origin.delivery,
        "x-webhook-subscription-id": origin.subscription,
        "x-webhook-event-type": origin.event_type.value,
        "x-webhook-delivery-attempt": str(origin.attempt),
        **_signed(request, secret),
    }


def content_digest(body: bytes) -> str:
    """`Content-Digest` (RFC 9530)."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_base(request: SignedRequest) -> str:
    """What `sig1` signs."""
    names = [*_DERIVED, *(f'"{name}"' for name in _FIELDS)]
    lines = [f"{name}: {value}" for name, value in zip(names, _values(request), strict=True)]
    covered = f'"@signature-params": ({" ".join(names)})'
    return "\n".join([*lines, covered, f';keyid="{KEY_ID}";alg="{ALGORITHM}";created={request.moment}'])


def standard_base(request: SignedRequest) -> str:
    """What `rfc9421` signs (RFC 9421, section 2.5)."""
    names = [f'"{name}"' for name in (*_DERIVED, *_FIELDS)]
    lines = [f"{name}: {value}" for name, value in zip(names, _values(request), strict=True)]
    return "\n".join([*lines, f'"@signature-params": {_parameters(request)};tag="{TAG}"'])


def _signed(request: SignedRequest, secret: str) -> Mapping[str, str]:
    inputs = {LABEL: _parameters(request), STANDARD_LABEL: f'{_parameters(request)};tag="{TAG}"'}
    signatures = {LABEL: _hmac(signature_base(request), secret), STANDARD_LABEL: _hmac(standard_base(request), secret)}
    return {"signature-input": _dictionary(inputs), "signature": _dictionary(signatures)}


def _parameters(request: SignedRequest) -> str:
    names = " ".join(f'"{name}"' for name in (*_DERIVED, *_FIELDS))
    return f'({names});keyid="{KEY_ID}";alg="{ALGORITHM}";created={request.moment}'


def _values(request: SignedRequest) -> Sequence[str]:
    return ("POST", request.path, request.authority, str(request.moment), content_digest(request.body))


def _hmac(base: str, secret: str) -> str:
    digest = hmac.digest(secret.encode(), base.encode(), hashlib.sha256)
    return f":{b64encode(digest).decode()}:"


def _dictionary(members: Mapping[str, str]) -> str:
    """A dictionary of structured fields (RFC 8941)."""
    return ", ".join(f"{label}={value}" for label, value in members.items())
