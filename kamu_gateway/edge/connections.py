"""What one connection may cost before its request is known."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES: Final = 256 << 10
HEAD_SECONDS: Final = 20.0


class BoundedConnection(HttpToolsProtocol):
    """HTTP/1.1 whose request lines and headers are bounded in size (RFC 6585, 431) and time (RFC 9110, 408).

    Everybody can send headers, and the parser keeps all of them.
    """

    head_seconds = HEAD_SECONDS
    _head_bytes: int | None = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers have more than {MAX_HEAD_BYTES} bytes"
            )

    def _start_head(self) -> None:
        self._end_head()
        self._head_bytes = 0
        self._timer = self.loop.call_later(
            self.head_seconds,
            self._refuse,
            HTTPStatus.REQUEST_TIMEOUT,
            f"The headers did not come within {self.head_seconds:g} s",
        )

    def _end_head(self) -> None:
        self._head_bytes = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._end_head()
        if self.transport.is_closing():
            return
        fields: list[tuple[str, Any]] = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", len(message)),
            ("connection", "close"),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.transport.write(STATUS_LINE[status] + f"{head}\r\n{message}".encode("ascii"))
        self.transport.close()
