"""The one hop from async handlers to the synchronous heart."""

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread
from fastapi import Request
from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 200


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `work` in the thread pool and wait for it without blocking others."""
    return await run_in_threadpool(work, *args, **kwargs)


async def while_connected(request: Request, work: Callable[[threading.Event], R]) -> R:
    """The same for work that nobody needs once the client has left: the event it is given tells it to stop."""
    left = threading.Event()
    watch = asyncio.create_task(_watch(request, left))
    try:
        return await in_thread(work, left)
    finally:
        watch.cancel()


def widen_pool() -> None:
    """Handlers mostly wait for commits and worker processes: let many of them wait at once."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS


async def _watch(request: Request, left: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()
