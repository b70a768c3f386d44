"""Who runs the jobs of ingestion."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Req = TypeVar("Req")
Res = TypeVar("Res")


class JobRunner(Protocol):
    """Runs a job elsewhere: a worker pool."""

    def run(self, job: Callable[[Req], Res], request: Req, *, on_progress: Callable[[Any], None] | None = None) -> Res:
        """The result of `job(request)`; told on the way how far it is."""
        ...
