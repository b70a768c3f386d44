"""An engine that does as a test says."""

import threading
from collections.abc import Callable
from typing import Any

from kamu_assets.engines.engine import (
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    TransformRequest,
    TransformResponse,
)

Answer = Callable[[TransformRequest, "Call"], TransformResponse]


class Call:
    """What a call brings besides its request."""

    def __init__(self, on_progress: OnProgress | None, cancel: threading.Event | None) -> None:
        self.on_progress = on_progress or _nobody
        self.cancel = cancel or threading.Event()


def _nobody(_: Any) -> None:
    """Nobody listens."""


class ScriptedEngine:
    """Answers transforms with a function, and remembers the requests."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[TransformRequest] = []

    def transform(
        self,
        request: TransformRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> TransformResponse:
        self.requests.append(request)
        return self._answer(request, Call(on_progress, cancel))

    def raw_query(self, request: RawQueryRequest, **_: object) -> RawQueryResponse:
        raise NotImplementedError
