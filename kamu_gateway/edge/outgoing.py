"""Answers on their way to clients: what they hold together, and how long a client may take for a piece.

An answer is whole before its first byte is sent, so its status is the truth; until the last byte is taken it stays in
memory. Clients decide how long that is, so it is bounded here.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

log = structlog.get_logger()

LIMIT_BYTES: Final = 256 << 20
PIECE_BYTES: Final = 256 << 10
PIECE_SECONDS: Final = 20.0
# Answers of up to this size find room when larger ones do not.
_SMALL_BYTES: Final = 1 << 20


class Outgoing:
    """The answers of an application; used by its event loop only."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES, piece_seconds: float = PIECE_SECONDS) -> None:
        self.limit_bytes = limit_bytes
        self.piece_seconds = piece_seconds
        self.held_bytes = 0

    def has_room_for(self, size: int) -> bool:
        limit = self.limit_bytes if size > _SMALL_BYTES else 2 * self.limit_bytes
        return self.held_bytes + size <= limit

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """As long as an answer of this size is sent."""
        self.held_bytes += size
        try:
            yield
        finally:
            self.held_bytes -= size


class SentAnswer(Response):
    """JSON that is sent as the client takes it, or refused if too much is on its way to slow clients."""

    media_type = "application/json"

    def __init__(self, request: Request, content: bytes) -> None:
        super().__init__(content)
        self._outgoing: Outgoing = request.app.state.outgoing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._outgoing.has_room_for(len(self.body)):
            await _refusal()(scope, receive, send)
            return
        with self._outgoing.holding(len(self.body)):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_pieces(send)

    async def _send_pieces(self, send: Send) -> None:
        body = memoryview(self.body)
        for start in range(0, len(body) or 1, PIECE_BYTES):
            piece = bytes(body[start : start + PIECE_BYTES])
            has_more = start + PIECE_BYTES < len(body)
            try:
                await asyncio.wait_for(
                    send({"type": "http.response.body", "body": piece, "more_body": has_more}),
                    self._outgoing.piece_seconds,
                )
            except TimeoutError:
                # An answer that is not complete makes the server end the connection.
                log.warning("answer_not_taken", bytes=len(body), sent=start)
                return


def _refusal() -> Response:
    return JSONResponse(
        {"message": "clients have not taken the large answers that were sent before; try again later or ask for less"},
        status_code=503,
        headers={"retry-after": "5"},
    )
