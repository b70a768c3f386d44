"""Connections under a policy: the address that is connected to decides, at the first hop and at every redirect."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kamu_assets.egress.http import Get, GuardedTransport, TransferLimits, open_get
from kamu_assets.egress.network import Deadline, DeadlineError
from kamu_assets.egress.policy import EgressDeniedError, EgressPolicy
from tests.support.certificates import certificate_for
from tests.support.web_source import Route, WebSource, web_source

LIMITS = TransferLimits(silence_seconds=5, total_seconds=20, max_redirects=10)
LOCAL = EgressPolicy.allowing(["127.0.0.1"])


@pytest.fixture
def other() -> Iterator[WebSource]:
    with web_source() as source:
        yield source


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names that resolve to given addresses: each question takes the next answer."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolved(host: str, port: int, *args: Any, **options: Any) -> Any:
        answers = known.get(host)
        if answers is None:
            return real(host, port, *args, **options)
        found = answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return known


def body(url: str, policy: EgressPolicy = LOCAL, *, private: Mapping[str, str] | None = None) -> bytes:
    with open_get(Get(url, private=private or {}), policy, LIMITS) as answer:
        return answer.read()


def port_of(web: WebSource) -> int:
    return int(web.url.rpartition(":")[2])


# SE-05
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0"],  # noqa: S104 - an address to refuse
)
def test_this_machine_is_closed_however_it_is_spelled(web: WebSource, host: str) -> None:
    with pytest.raises(EgressDeniedError, match=r"egress\.allow"):
        body(f"http://{host}:{port_of(web)}/x", EgressPolicy())

    assert web.requests == []


# SE-05
@pytest.mark.parametrize("host", ["[::1]", "[::ffff:127.0.0.1]", "[::]", "[::ffff:7f00:1]"])
def test_this_machine_is_closed_by_its_other_addresses_too(web: WebSource, host: str) -> None:
    with pytest.raises(EgressDeniedError):
        body(f"http://{host}:{port_of(web)}/x", EgressPolicy.allowing(["127.0.0.1"]))


# SE-05: one hop and four hops to what is inside.
@pytest.mark.parametrize("hops", [1, 4])
@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://127.0.0.2/"]
)
def test_redirects_lead_nowhere_else(web: WebSource, hops: int, target: str) -> None:
    web.routes |= {f"/{hop}": Route(redirect=f"/{hop + 1}") for hop in range(hops - 1)}
    web.routes[f"/{hops - 1}"] = Route(redirect=target)

    with pytest.raises(EgressDeniedError, match=target.split("/")[2]):
        body(f"{web.url}/0")

    assert len(web.requests) == hops


# SE-05: a redirect from one allowed place to a port that is not allowed.
def test_a_rule_with_a_port_does_not_open_the_others(web: WebSource, other: WebSource) -> None:
    web.routes["/"] = Route(redirect=f"{other.url}/secret")
    other.routes["/secret"] = Route(b"inner answer")

    with pytest.raises(EgressDeniedError) as denied:
        body(f"{web.url}/", EgressPolicy.allowing([f"127.0.0.1:{port_of(web)}"]))

    assert "inner answer" not in str(denied.value)
    assert other.requests == []


# SE-05: a name with two addresses, one of them inside.
@pytest.mark.parametrize("addresses", [["127.0.0.1", "10.0.0.7"], ["10.0.0.7", "127.0.0.1"]])
def test_a_name_with_one_closed_address_is_closed(
    web: WebSource, names: dict[str, list[list[str]]], addresses: list[str]
) -> None:
    names["two.test"] = [addresses]

    with pytest.raises(EgressDeniedError, match=r"two\.test \(10\.0\.0\.7\)"):
        body(f"http://two.test:{port_of(web)}/x")

    assert web.requests == []


# SE-05: DNS rebinding.
def test_a_name_is_resolved_once_and_what_was_checked_is_connected(
    web: WebSource, names: dict[str, list[list[str]]]
) -> None:
    names["rebind.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    web.routes["/x"] = Route(b"1")

    assert body(f"http://rebind.test:{port_of(web)}/x") == b"1"

    assert web.requests[0]["host"] == f"rebind.test:{port_of(web)}"
    assert names["rebind.test"] == [["169.254.169.254"]]


def test_an_address_that_does_not_answer_is_not_the_last_one(web: WebSource, names: dict[str, list[list[str]]]) -> None:
    names["two.test"] = [["127.0.0.9", "127.0.0.1"]]
    web.routes["/x"] = Route(b"1")

    assert body(f"http://two.test:{port_of(web)}/x", EgressPolicy.allowing(["127.0.0.0/8"])) == b"1"


def test_a_host_may_be_allowed_by_name(web: WebSource, names: dict[str, list[list[str]]]) -> None:
    names |= {"inner.test": [["127.0.0.1"]], "else.test": [["127.0.0.1"]]}
    web.routes["/x"] = Route(b"1")
    policy = EgressPolicy.allowing([f"inner.test:{port_of(web)}"])

    assert body(f"http://inner.test:{port_of(web)}/x", policy) == b"1"
    with pytest.raises(EgressDeniedError):
        body(f"http://else.test:{port_of(web)}/x", policy)


# SE-08
@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "data:,x", "ftp://127.0.0.1/x"])
def test_redirects_to_other_schemes_are_refused(web: WebSource, target: str) -> None:
    web.routes["/"] = Route(redirect=target)

    with pytest.raises((httpx.UnsupportedProtocol, httpx.InvalidURL)):
        body(f"{web.url}/")


def test_what_is_private_stays_with_its_origin(web: WebSource, other: WebSource) -> None:
    web.routes |= {"/a": Route(redirect="/b"), "/b": Route(redirect=f"{other.url}/c"), "/d": Route(b"1")}
    other.routes["/c"] = Route(redirect=f"{web.url}/d")

    assert body(f"{web.url}/a", private={"x-api-key": "secret", "authorization": "Basic x"}) == b"1"

    seen = [request.get("x-api-key") for request in (*web.requests[:2], *other.requests, *web.requests[2:])]
    assert seen == ["secret", "secret", None, None]
    assert "authorization" not in other.requests[0]


def test_redirects_have_a_limit(web: WebSource) -> None:
    web.routes |= {f"/{hop}": Route(redirect=f"/{hop + 1}") for hop in range(50)}
    web.routes["/50"] = Route(b"1")

    with pytest.raises(httpx.TooManyRedirects):
        body(f"{web.url}/0")

    assert len(web.requests) == 11
    assert body(f"{web.url}/40") == b"1"


# FE-09: a server that is always just fast enough.
@pytest.mark.parametrize("route", [Route(b"1" * 100, drip_seconds=0.05), Route(b"1", silence_seconds=3)])
def test_the_whole_ends_at_its_deadline(web: WebSource, route: Route) -> None:
    web.routes["/"] = route
    limits = TransferLimits(silence_seconds=10, total_seconds=0.3)

    with pytest.raises(DeadlineError), open_get(Get(f"{web.url}/"), LOCAL, limits) as answer:
        answer.read()


# FE-09: a name server that does not answer.
def test_looking_up_a_name_ends_at_the_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stop.wait(20))
    limits = TransferLimits(silence_seconds=0.2, total_seconds=20)

    with pytest.raises(httpx.ConnectTimeout), open_get(Get("http://slow.test/"), LOCAL, limits):
        pass

    stop.set()


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, and whoever trusts it."""
    encoded, trusting = certificate_for(name)
    path = folder / f"{name}.pem"
    path.write_bytes(encoded)
    return path, trusting


@contextmanager
def tls_server(certificate_path: Path) -> Iterator[tuple[int, list[str | None]]]:
    """A server that answers `ok` and remembers which names it was asked for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    secure.recv(10_000)
                    secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_certificates_are_checked_against_the_name_not_the_address(
    tmp_path: Path, names: dict[str, list[list[str]]]
) -> None:
    path, trust = certificate(tmp_path, "source.test")
    names |= {"source.test": [["127.0.0.1"]], "impostor.test": [["127.0.0.1"]]}

    with (
        tls_server(path) as (port, asked),
        httpx.Client(transport=GuardedTransport(LOCAL, Deadline(20), context=trust)) as client,
    ):
        answer = client.get(f"https://source.test:{port}/")
        with pytest.raises(httpx.ConnectError, match=r"not valid for 'impostor\.test'"):
            client.get(f"https://impostor.test:{port}/")

    assert answer.text == "ok"
    assert asked == ["source.test", "impostor.test"]


def test_certificates_of_nobody_known_are_refused(tmp_path: Path, names: dict[str, list[list[str]]]) -> None:
    path, _ = certificate(tmp_path, "source.test")
    names["source.test"] = [["127.0.0.1"]]

    with tls_server(path) as (port, _), pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        body(f"https://source.test:{port}/")
