"""Connections that want memory or time before they have asked for anything."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from kamu_gateway.edge.connections import MAX_HEAD_BYTES, BoundedConnection
from tests.support.served_node import ServedNode, serving

START = b"GET /info HTTP/1.1\r\nHost: node\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        yield node


@contextlib.contextmanager
def connected(served: ServedNode) -> Iterator[socket.socket]:
    with socket.create_connection(served.address, timeout=20) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("line", [b"X-%d: a\r\n", b"a%d"])
def test_headers_have_a_size(served: ServedNode, line: bytes) -> None:
    with connected(served) as connection:
        connection.sendall(START + b"X: ")
        with contextlib.suppress(ConnectionError):
            for number in range(200_000_000):
                connection.sendall(b"".join(line % number for _ in range(1_000)))
        received = answer(connection)

    assert number < 1_000
    # The refusal is lost where the system answers our unread bytes with a reset.
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    assert served.request("GET", "/info").status_code == 200


def test_headers_within_the_size_are_taken_and_each_request_has_its_own(served: ServedNode) -> None:
    many = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1_000) for number in range(MAX_HEAD_BYTES // 1_100))
    with connected(served) as connection:
        connection.sendall((START + many + b"\r\n") * 3 + START + b"Connection: close\r\n\r\n")

        assert answer(connection).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize("said", [b"", b"GET", START, START + b"\r\n" + START])
def test_headers_have_a_time(served: ServedNode, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.5)
    with connected(served) as connection:
        connection.sendall(said)
        received = answer(connection)

    assert received.count(b"HTTP/1.1 200 OK") == said.count(b"\r\n\r\n")
    assert b"HTTP/1.1 408 Request Timeout" in received


def test_a_body_may_take_longer_than_headers(served: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "head_seconds", 0.3)
    body = b'{"query": "select 1 as a"}'
    with connected(served) as connection:
        connection.sendall(
            b"POST /query HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        for position in range(0, len(body), 5):
            connection.sendall(body[position : position + 5])
            connection.settimeout(0.15)
            with contextlib.suppress(TimeoutError):
                connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(20)

        assert b'[{"a":1}]' in answer(connection)
