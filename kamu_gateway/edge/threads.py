"""The one hop from async handlers to the synchronous heart."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread
from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 200


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `work` in the thread pool and wait for it without blocking others."""
    return await run_in_threadpool(work, *args, **kwargs)


def widen_pool() -> None:
    """Handlers mostly wait for commits and worker processes: let many of them wait at once."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
