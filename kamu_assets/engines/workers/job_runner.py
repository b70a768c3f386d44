"""Who runs jobs: a pool of worker processes, or whatever stands in for one."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Req = TypeVar("Req")
Res = TypeVar("Res")


class JobRunner(Protocol):
    """Runs a job elsewhere."""

    def run(
        self,
        job: Callable[[Req], Res],
        request: Req,
        *,
        on_progress: Callable[[Any], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Res:
        """The result of `job(request)`; told on the way how far it is."""
        ...
