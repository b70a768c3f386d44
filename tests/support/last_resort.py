"""The end of a test process that hangs: it says where every thread is, and which test it was, and ends.

pytest-timeout comes first, but raises only once, and only in Python code of the main thread: Hypothesis takes what is
raised for a finding and tries the example again, a `finally` may wait for ever, and libraries in C wait on. And it
watches no teardown of a test that has failed.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

# Beyond the test's own limit: enough to tidy up, and to report what the limit has ended.
GRACE_SECONDS = 120.0


class LastResort:
    """Watches the setup, the call and the teardown of each test, from a thread that needs no Python to run."""

    def __init__(self) -> None:
        # While tests run, what is written to the usual descriptor is captured, and would be lost.
        self._told = os.dup(2)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._watched(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._watched(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._watched(item))

    def pytest_unconfigure(self) -> None:
        os.close(self._told)

    def _watched(self, item: pytest.Item) -> Generator[None, object, object]:
        faulthandler.dump_traceback_later(limit_of(item) + GRACE_SECONDS, exit=True, file=self._told)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()


def limit_of(item: pytest.Item) -> float:
    """How long the test may take, in seconds."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0] if mark else item.config.getini("timeout"))
