"""Processes that ask load no engine, and their workers load theirs at the same time."""

import subprocess
import sys

import pytest

from kamu_assets.engines.workers.nursery import Nursery, NurseryError
from tests.unit.engines import jobs

_LOADED = (
    "import sys; import kamu_assets.query.service, kamu_assets.query.eager_workers;"
    # As they come from workers.
    " import kamu_assets.engines.sql.errors; print(*sys.modules)"
)


def test_asking_loads_no_engine() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    assert "kamu_assets.query.service" in done.stdout.split()
    assert not {"datafusion", "pyarrow", "numpy"} & set(done.stdout.split())


def test_what_has_begun_is_used() -> None:
    nursery = Nursery((jobs.__name__,))
    try:
        nursery.begin()
        begun = nursery._process
        assert begun is not None
        nursery.begin()
        pid, connection = nursery.fork(network=False)
        connection.close()
        assert nursery._process is begun
        assert nursery.bury(pid)
    finally:
        nursery.close()


def test_what_went_wrong_is_told_when_a_worker_is_wanted() -> None:
    nursery = Nursery(("no.such.module",))
    try:
        nursery.begin()
        with pytest.raises(NurseryError, match="cannot start a worker"):
            nursery.fork(network=False)
    finally:
        nursery.close()
