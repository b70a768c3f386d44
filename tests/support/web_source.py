"""A small web server to fetch from: it can be conditional, slow, truncated, or send the client round in circles."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Route:
    """How one path answers."""

    body: bytes = b""
    status: int = 200
    etag: str | None = None
    last_modified: str | None = None
    conditional: bool = True
    # Promised length, when it is not the real one.
    length: int | None = None
    chunked_without_end: bool = False
    redirect: str | None = None
    encoding: str | None = None
    silence_seconds: float = 0
    # The body comes byte by byte, with such pauses.
    drip_seconds: float = 0
    # 403 for clients that do not say what they are.
    wants_agent: bool = False


@dataclass
class WebSource:
    """The server, its routes and what was asked of it."""

    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    # Routes that take the place of others after one answer.
    then: dict[str, Route] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[Route] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


@contextmanager
def web_source() -> Iterator[WebSource]:
    """A running server."""
    server = _Server(("127.0.0.1", 0), _Handler)
    source = WebSource(f"http://127.0.0.1:{server.server_port}")
    server.source = source  # type: ignore[attr-defined] # handlers find it there
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        source.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        source: WebSource = self.server.source  # type: ignore[attr-defined] # set by web_source
        source.requests.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
        route = source.routes.get(self.path, Route(status=404))
        if self.path in source.then:
            source.routes[self.path] = source.then.pop(self.path)
        source.stopping.wait(route.silence_seconds)
        if route.wants_agent and not self.headers.get("user-agent"):
            route = Route(status=403)
        if self._unchanged(route):
            route = Route(status=304, etag=route.etag, last_modified=route.last_modified)
        source.answers.append(route)
        self._answer(route)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _unchanged(self, route: Route) -> bool:
        if not route.conditional or route.status != 200:
            return False
        if route.etag is not None:
            return self.headers.get("if-none-match") == route.etag
        since = self.headers.get("if-modified-since")
        if since is None or route.last_modified is None:
            return False
        return parsedate_to_datetime(since) >= parsedate_to_datetime(route.last_modified)

    def _answer(self, route: Route) -> None:
        self.send_response(302 if route.redirect else route.status)
        headers = {"Location": route.redirect, "ETag": route.etag, "Last-Modified": route.last_modified}
        headers["Content-Encoding"] = route.encoding
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if route.chunked_without_end:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(route.body), route.body))
            self.close_connection = True
            return
        if route.status != 304:
            self.send_header("Content-Length", str(len(route.body) if route.length is None else route.length))
        self.end_headers()
        self._send(route)
        self.close_connection = route.length is not None

    def _send(self, route: Route) -> None:
        if not route.drip_seconds:
            self.wfile.write(route.body)
            return
        source: WebSource = self.server.source  # type: ignore[attr-defined] # set by web_source
        for byte in route.body:
            self.wfile.write(bytes([byte]))
            if source.stopping.wait(route.drip_seconds):
                return
