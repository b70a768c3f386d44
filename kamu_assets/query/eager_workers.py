"""Workers for a process that is about to open a node and ask it something."""

from collections.abc import Iterator
from contextlib import contextmanager

from kamu_assets.engines.workers.nursery import lease_nursery, return_nursery
from kamu_assets.engines.workers.preload import WORKER_MODULES


@contextmanager
def workers_begun() -> Iterator[None]:
    """Load what workers need beside what this process needs itself: either takes long, and a query needs both."""
    nursery = lease_nursery(WORKER_MODULES)
    nursery.begin()
    try:
        yield
    finally:
        return_nursery(nursery)
