"""Hops from async handlers to the synchronous heart.

Work that waits long, for commits or for worker processes, has threads of its own: however much of it there is, callers
are recognised and health checks answered.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request
from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
R = TypeVar("R")

PUSHES = 200
QUERIES = 64


@dataclass(frozen=True)
class Lanes:
    """How much of each kind of long work goes on at once; made inside the event loop that uses it."""

    pushes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PUSHES))
    queries: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(QUERIES))


def lanes_of(request: Request) -> Lanes:
    """The lanes of an application."""
    lanes: Lanes = request.app.state.lanes
    return lanes


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run short `work` in the thread pool and wait for it without blocking others."""
    return await run_in_threadpool(work, *args, **kwargs)


async def in_lane(lane: CapacityLimiter, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for work that waits long."""
    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=lane)


async def query_while_connected(request: Request, work: Callable[[threading.Event], R]) -> R:
    """Run a query that nobody needs once the client has left: the event it is given tells it to stop."""
    left = threading.Event()
    watch = asyncio.create_task(_watch(request, left))
    try:
        return await in_lane(lanes_of(request).queries, work, left)
    finally:
        watch.cancel()


async def _watch(request: Request, left: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()
