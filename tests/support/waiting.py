"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0


def wait_until(look: Callable[[], T | None], *, patience: float = PATIENCE, every: float = 0.02) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, f"{getattr(look, '__qualname__', look)} did not come true in {patience} s"
        time.sleep(every)
    return found
