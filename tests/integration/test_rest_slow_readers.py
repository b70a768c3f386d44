"""Clients that ask for much and take little."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_gateway import app
from kamu_gateway.edge.outgoing import Outgoing
from tests.support.served_node import ServedNode, serving
from tests.support.waiting import wait_until

# Far more than sockets hold.
ROWS, WIDTH = 10_000, 1_000
MUCH = f"select repeat('x', {WIDTH}) as x from generate_series(1, {ROWS})"


@pytest.fixture
def outgoing(monkeypatch: pytest.MonkeyPatch) -> Outgoing:
    """What the application of `served` holds."""
    made = Outgoing()
    monkeypatch.setattr(app, "Outgoing", lambda: made)
    return made


@pytest.fixture
def served(tmp_path: Path, outgoing: Outgoing) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        yield node


@contextlib.contextmanager
def slow_reader(served: ServedNode) -> Iterator[socket.socket]:
    """A client that has read the status of a large answer and no more."""
    body = json.dumps({"query": MUCH, "limit": ROWS}).encode()
    head = f"POST /query HTTP/1.1\r\nhost: n\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(served.address)
        client.sendall(head.encode() + body)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        yield client


def asked(served: ServedNode, sql: str) -> tuple[int, str | None]:
    answer = served.request("POST", "/query", json={"query": sql, "limit": ROWS})
    return answer.status_code, answer.headers.get("retry-after")


def test_answers_that_nobody_takes_are_bounded_and_small_ones_go_on(served: ServedNode, outgoing: Outgoing) -> None:
    outgoing.limit_bytes = 2 * ROWS * (WIDTH + 100)

    with slow_reader(served), slow_reader(served):
        assert outgoing.held_bytes > 2 * ROWS * WIDTH
        assert asked(served, MUCH) == (503, "5")
        assert asked(served, "select 1 as x") == (200, None)

    wait_until(lambda: outgoing.held_bytes == 0)
    assert asked(served, MUCH) == (200, None)


def test_a_client_that_takes_nothing_is_left(served: ServedNode, outgoing: Outgoing) -> None:
    outgoing.piece_seconds = 0.5

    with slow_reader(served):
        wait_until(lambda: outgoing.held_bytes == 0)

    assert asked(served, "select 1 as x") == (200, None)


def test_a_client_that_is_slow_gets_all_of_it(served: ServedNode) -> None:
    with slow_reader(served) as client:
        data = bytearray()
        while not data.endswith(b"}}"):
            piece = client.recv(1 << 20)
            assert piece
            data += piece

    assert data.count(b"x" * WIDTH) == ROWS
