"""How often a worker interrupts what it executes."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import cast

import pytest
from dagster import DagsterInstance

from kamu_assets.orchestration.workers import worker
from kamu_assets.orchestration.workers.execution import RunExecutor
from kamu_assets.orchestration.workers.telling import Telling
from kamu_assets.orchestration.workers.warm_queue import WarmQueue
from kamu_assets.orchestration.workers.worker import WarmWorker


class EveryRunIsCancelled:
    """A queue, as far as cancellations need it."""

    def cancels(self, _worker: str) -> Sequence[str]:
        return ["first", "second"]


def test_a_run_that_ends_already_is_not_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    warm = WarmWorker(
        instance=cast("DagsterInstance", None),
        queue=cast("WarmQueue", EveryRunIsCancelled()),
        runs=cast("RunExecutor", None),
        telling=Telling(queue=cast("WarmQueue", None), runs=cast("RunExecutor", None), recall=list),
        max_runs=1,
    )

    for current in ("first", "first", None, "second"):
        warm._current = current
        warm._cancel_current()

    assert sent == [signal.SIGINT] * 2
    monkeypatch.setattr(worker, "PATIENCE_SECONDS", 0)
    warm._cancel_current()
    assert len(sent) == 3
