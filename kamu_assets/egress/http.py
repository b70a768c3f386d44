"""HTTP under a policy: every connection goes to a checked address, and redirects are followed by rules.

transport = GuardedTransport(policy, Deadline(30))      # for an `httpx.Client` of one's own
with open_get(Get(url, headers, private), policy, limits) as answer: ...
"""

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import urlsplit

import httpcore
import httpx

from kamu_assets.egress.network import Deadline, GuardedNetwork
from kamu_assets.egress.policy import EgressPolicy

# The libraries' own lines hold hosts and whole URLs, in which there may be secrets.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class GuardedTransport(httpx.HTTPTransport):
    """Connects where the policy lets it; knows no proxies. `context`: whom to trust, if not the usual authorities."""

    def __init__(self, policy: EgressPolicy, deadline: Deadline, *, context: ssl.SSLContext | None = None) -> None:
        context = context or _usual_authorities()
        super().__init__(verify=context, trust_env=False)
        # httpx has no public way to say how to connect; without this check a new version might connect anywhere.
        if not isinstance(self._pool, httpcore.ConnectionPool):
            raise TypeError("this version of httpx cannot be guarded")
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=GuardedNetwork(policy, deadline))


@cache
def _usual_authorities() -> ssl.SSLContext:
    # Reading them takes longer than many a transfer.
    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Patience with a server."""

    silence_seconds: float = 60
    total_seconds: float = 3_600
    max_redirects: int = 10


@dataclass(frozen=True, slots=True)
class Get:
    """A request for what is at a URL."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    # Not for other origins, to which the server may send us.
    private: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def open_get(get: Get, policy: EgressPolicy, limits: TransferLimits) -> Iterator[httpx.Response]:
    """The answer after redirects, its body still to be read. Not through a client of httpx: that one logs URLs."""
    with GuardedTransport(policy, Deadline(limits.total_seconds)) as transport:
        answer = _answer(transport, get, limits)
        try:
            yield answer
        finally:
            answer.close()


def _answer(transport: GuardedTransport, get: Get, limits: TransferLimits) -> httpx.Response:
    for _ in range(limits.max_redirects + 1):
        request = _request(get, limits)
        answer = transport.handle_request(request)
        answer.request = request
        if not answer.has_redirect_location:
            return answer
        answer.close()
        get = _redirected(get, request.url, answer.headers["location"])
    raise httpx.TooManyRedirects(f"more than {limits.max_redirects} redirects", request=request)


def _request(get: Get, limits: TransferLimits) -> httpx.Request:
    url = parse_url(get.url)
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.UnsupportedProtocol(f"not an http or https address: {url.scheme}:")
    timeout = httpx.Timeout(limits.silence_seconds).as_dict()
    return httpx.Request("GET", url, headers={**get.headers, **get.private}, extensions={"timeout": timeout})


def _redirected(get: Get, url: httpx.URL, location: str) -> Get:
    """What a server may not learn stays behind for good as soon as it is another server."""
    target = parse_url(location, base=url)
    same = (target.scheme, target.host, _port(target)) == (url.scheme, url.host, _port(url))
    return replace(get, url=str(target), private=get.private if same else {})


def parse_url(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """A URL whose parts can be read; InvalidURL in all other cases, of which httpx lets some through."""
    try:
        url = base.join(text) if base else httpx.URL(text)
        # These look at brackets, and at names with other letters.
        urlsplit(text)
        _ = (url.host, str(url).encode())
    except ValueError:
        raise httpx.InvalidURL("not a URL") from None
    return url


def _port(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)
