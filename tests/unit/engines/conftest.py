from collections.abc import Iterator

import pytest

from kamu_assets.engines.workers.pool import WorkerPool
from tests.unit.engines.pools import a_pool


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = a_pool()
    yield pool
    pool.close()
