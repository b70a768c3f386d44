"""Calls of the engine server whose callers go away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import grpc

from kamu_assets.engines.grpc.server import _serve


class Caller:
    """A call, as far as serving it needs one."""

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self.leave = callback
        return True


def test_a_caller_who_leaves_holds_nobody_although_the_engine_goes_on() -> None:
    caller, begun, over = Caller(), threading.Event(), threading.Event()
    cancels: list[threading.Event] = []
    served: list[bytes] = []

    def stubborn(_report: object, cancel: threading.Event) -> bytes:
        cancels.append(cancel)
        begun.set()
        over.wait()
        return b"answer"

    calls = _serve(stubborn, b"progress", cast("grpc.ServicerContext", caller))
    handler = threading.Thread(target=lambda: served.extend(calls), daemon=True)
    handler.start()
    assert begun.wait(20)

    caller.leave()
    handler.join(20)

    assert not handler.is_alive()
    assert (served, [each.is_set() for each in cancels]) == ([], [True])
    over.set()
