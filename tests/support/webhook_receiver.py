"""A web server that is told of changes: remembers what came, answers as a test says, may be slow, huge or broken."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import wait_until


@dataclass
class Answer:
    """How a request is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    silence_seconds: float = 0
    # A header that comes byte by byte, with such pauses.
    drip_seconds: float = 0
    # Bytes of a body without end.
    is_endless: bool = False
    hangs_up: bool = False


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    # With the query.
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def delivery(self) -> tuple[str, int]:
        """Which one it is, and the how many-eth attempt."""
        return self.headers["x-webhook-delivery-id"], int(self.headers["x-webhook-delivery-attempt"])


@dataclass
class Receiver:
    """The server, what came, and how it answers: the answers in turn, then the usual one."""

    url: str
    received: list[Received] = field(default_factory=list)
    turns: list[Answer] = field(default_factory=list)
    usual: Answer = field(default_factory=Answer)
    stopping: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, count: int) -> list[Received]:
        wait_until(lambda: len(self.received) >= count)
        return list(self.received)

    def answer(self) -> Answer:
        return self.turns.pop(0) if self.turns else self.usual


@contextmanager
def webhook_receiver(certificate: bytes | None = None) -> Iterator[Receiver]:
    """A running server; with a certificate (and its key) it speaks TLS as `localhost`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
    receiver = Receiver(f"{scheme}://{host}:{server.server_port}")
    server.receiver = receiver  # type: ignore[attr-defined] # handlers find it there
    server.context = certificate and _server_context(certificate)  # type: ignore[attr-defined] # as above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request: Any, client_address: Any) -> None:
        context: ssl.SSLContext | None = self.context  # type: ignore[attr-defined] # set by webhook_receiver
        if context is None:
            super().finish_request(request, client_address)
            return
        # On the thread of the request: nobody else waits for a handshake.
        with context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined] # set by webhook_receiver
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        receiver.received.append(Received(self.command, self.path, headers, body))
        answer = receiver.answer()
        self.close_connection = True
        receiver.stopping.wait(answer.silence_seconds)
        if not answer.hangs_up:
            self._send(answer, receiver)

    do_GET = do_POST  # noqa: N815 - the server's name

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _send(self, answer: Answer, receiver: Receiver) -> None:
        if answer.drip_seconds:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
                self.wfile.write(bytes([byte]))
                if receiver.stopping.wait(answer.drip_seconds):
                    return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not answer.is_endless:
            self.send_header("content-length", "0")
        self.end_headers()
        while answer.is_endless and not receiver.stopping.is_set():
            self.wfile.write(b"x" * 65_536)


def _server_context(certificate: bytes) -> ssl.SSLContext:
    import tempfile

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context
