"""Bodies on their way in: looked at while they stream, held in memory while they are small, spooled when they are not.

What all bodies hold in memory together is bounded, and so are the size and the silences of each one.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from fastapi import Request
from starlette.requests import ClientDisconnect

from kamu_assets.errors import UnavailableError
from kamu_gateway.edge.errors import MessageAnswerError
from kamu_gateway.edge.threads import in_thread

SILENCE_SECONDS = 60.0
_MIB = 1 << 20
_PREFIX = "push"


class IntakeFullError(UnavailableError):
    """Bodies already take all the memory they may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"pushes that are under way hold {limit // _MIB} MiB, the limit (setting ingest.queue_limit); "
            "try again later"
        )


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
    async def take(self, request: Request) -> AsyncIterator[bytes | Path]:
        """The whole body: bytes, or a file that is gone when the block ends."""
        self._check_size(_declared_size(request))
        body = _Body(self, self._folder, self._in_memory)
        try:
            size = 0
            async for chunk in self._chunks(request):
                size += len(chunk)
                self._check_size(size)
                await body.add(chunk)
            yield await body.content()
        finally:
            body.discard()

    def hold(self, size: int) -> None:
        """Count memory that is about to be taken."""
        if self._held + size > self._budget:
            raise IntakeFullError(self._budget)
        self._held += size

    def release(self, size: int) -> None:
        """Count memory that was given back."""
        self._held -= size

    def remove_leftovers(self) -> None:
        """Remove files of processes that died in the middle of a body."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(f"{_PREFIX}-*-*"):
            if not _is_alive(path.name.split("-")[1]):
                path.unlink(missing_ok=True)

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


class _Body:
    def __init__(self, intake: Intake, folder: Path, in_memory: int) -> None:
        self._intake = intake
        self._folder = folder
        self._in_memory = in_memory
        self._buffer = bytearray()
        self._held = 0
        self._path: Path | None = None
        self._file: IO[bytes] | None = None

    async def add(self, chunk: bytes) -> None:
        self._intake.hold(len(chunk))
        self._held += len(chunk)
        self._buffer += chunk
        if len(self._buffer) > (_MIB if self._file else self._in_memory):
            await in_thread(self._spool)

    async def content(self) -> bytes | Path:
        if self._path is None:
            return bytes(self._buffer)
        await in_thread(self._spool)
        return self._path

    def discard(self) -> None:
        self._release()
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _spool(self) -> None:
        if self._file is None:
            self._path = self._folder / f"{_PREFIX}-{os.getpid()}-{secrets.token_hex(8)}"
            self._file = self._path.open("xb", buffering=0)
        self._file.write(self._buffer)
        self._release()

    def _release(self) -> None:
        self._buffer = bytearray()
        self._intake.release(self._held)
        self._held = 0


async def read_small(request: Request, *, limit: int) -> bytes:
    """A body that has no business being large."""
    if _declared_size(request) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> MessageAnswerError:
    return MessageAnswerError(413, f"Content too large: the limit is {limit} bytes")


def _declared_size(request: Request) -> int:
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        # The server refuses such a request by itself; a client that got here has left.
        raise ClientDisconnect from None


def _is_alive(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()
