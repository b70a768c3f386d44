"""Bodies on their way in: looked at while they stream, held in memory while they are small, spooled when they are not.

What all bodies hold in memory together is bounded, and so are the size and the silences of each one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from kamu_gateway.edge.errors import MessageAnswerError
from kamu_gateway.edge.growing_body import GrowingBody
from kamu_gateway.edge.unpacking import Unpacked, Unpacking

SILENCE_SECONDS = 60.0
_MIB = 1 << 20


class Intake:
    """Takes bodies in for one application; use it from one event loop only."""

    def __init__(
        self, *, folder: Path, max_body: int, in_memory: int, budget: int, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._folder = folder
        self._max_body = max_body
        self._in_memory = in_memory
        self._budget = budget
        self._silence_seconds = silence_seconds
        self._held = 0

    @asynccontextmanager
    async def take(self, request: Request, *, packed: Unpacking | None = None) -> AsyncIterator[bytes | Path]:
        """The content of the whole body: bytes, or a file that is gone when the block ends.

        Limits hold for what comes in and for what comes out.
        """
        packed = packed or Unpacked()
        self._check_size(declared_size(request))
        body = GrowingBody(self._folder, self._in_memory, hold=self._hold, release=self._release)
        try:
            sent = size = 0
            async for chunk in self._chunks(request):
                sent += len(chunk)
                self._check_size(sent)
                for piece in packed.pieces(chunk):
                    size += len(piece)
                    self._check_size(size)
                    await body.add(piece)
                    # Much may come out of little: others are served in between.
                    await asyncio.sleep(0)
            packed.end()
            yield body.content()
        finally:
            body.discard()

    def _hold(self, size: int) -> None:
        if self._held + size > self._budget:
            raise MessageAnswerError(
                429,
                f"bodies under way hold {self._held // _MIB} MiB, the limit is {self._budget // _MIB} MiB "
                "(setting ingest.queue_limit); try again later",
                retry_after=1,
            )
        self._held += size

    def _release(self, size: int) -> None:
        self._held -= size

    def _check_size(self, size: int) -> None:
        if size > self._max_body:
            raise MessageAnswerError(
                413, f"Content too large: the limit is {self._max_body} bytes (setting ingest.max_body)"
            )

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        stream = request.stream()
        while True:
            try:
                async with asyncio.timeout(self._silence_seconds):
                    chunk = await anext(stream, None)
            except TimeoutError as error:
                raise MessageAnswerError(
                    408, f"Nothing arrived for {self._silence_seconds:g} s: the body was given up"
                ) from error
            if chunk is None:
                return
            yield chunk


def declared_size(request: Request) -> int:
    """What Content-Length says; 0 for a body in chunks."""
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        # The server refuses such a request by itself; a client that got here has left.
        raise ClientDisconnect from None
