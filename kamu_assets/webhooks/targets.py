"""Where deliveries may go: https, and by the egress policy. Checked here and again at every delivery."""

import re
from collections.abc import Collection

import httpcore
import httpx

from kamu_assets.egress.http import parse_url
from kamu_assets.egress.network import resolve
from kamu_assets.egress.policy import EgressDeniedError, EgressPolicy
from kamu_assets.webhooks.errors import InnerTargetError, InvalidTargetUrlError, PlainTargetError

MAX_URL = 2_048
_PATIENCE = 5.0
_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65_535
_HTTPS_ONLY = "Webhook target should use https:// and should not point at a loopback address"
_PUBLIC_ONLY = "Webhook target should not point at an address that is not public"
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f]")


def schemes(*, allow_http: bool) -> Collection[str]:
    """How receivers may be spoken with."""
    return ("https", "http") if allow_http else ("https",)


class Targets:
    """Decides which URLs may be subscribed."""

    def __init__(self, policy: EgressPolicy, *, allow_http: bool = False) -> None:
        self._policy = policy
        self._schemes = schemes(allow_http=allow_http)

    def check(self, text: str) -> str:
        """The URL as it is kept; InvalidTargetUrlError. Asks the name service, which may take some seconds.

        A host that has no address now may have one later.
        """
        url = self._parsed(text)
        if url.scheme not in self._schemes:
            raise PlainTargetError(f"{_HTTPS_ONLY}: {text}", text)
        try:
            resolve(self._policy, url.host, url.port or _PORTS[url.scheme], patience=_PATIENCE)
        except EgressDeniedError as error:
            # Nothing of what there is: neither the address nor whether anybody listens.
            words = _HTTPS_ONLY if error.address.is_loopback else _PUBLIC_ONLY
            raise InnerTargetError(f"{words}: {text}", text) from None
        except (httpcore.NetworkError, httpcore.TimeoutException):
            pass
        return text

    def _parsed(self, text: str) -> httpx.URL:
        if len(text) > MAX_URL:
            raise InvalidTargetUrlError(f"Webhook target should have at most {MAX_URL:,} characters", text[:MAX_URL])
        try:
            url = parse_url(text)
        except httpx.InvalidURL:
            raise InvalidTargetUrlError(f"Webhook target is not a URL: {text!r}", text) from None
        has_port = url.port is None or 0 < url.port <= _LAST_PORT
        if _UNPRINTABLE.search(text) or not url.scheme or not url.host or not has_port:
            raise InvalidTargetUrlError(f"Webhook target is not a URL: {text!r}", text)
        if url.userinfo:
            raise InvalidTargetUrlError("Webhook target should not contain a user name or password", text)
        return url
