"""Inputs that are compacted and swept while a derivative is computed from them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.coordinator.errors import InvalidInputIntervalError
from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.results import Updated
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.engine import TransformRequest, TransformResponse
from kamu_assets.odf.dataset import DatasetKind
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.heart import ADMIN, Heart
from tests.support.idle_derivative import reading
from tests.support.inline_engine import InlineEngine


class Rushed(InlineEngine):
    """Its input is rewritten and swept before it opens a file, the first time."""

    def __init__(self, heart: Heart, root: DatasetEntry) -> None:
        super().__init__()
        self._heart = heart
        self._root = root
        self.is_armed = threading.Event()

    def transform(self, request: TransformRequest, **options: Any) -> TransformResponse:
        if self.is_armed.is_set():
            self.is_armed.clear()
            heart = self._heart
            a_reorganization(heart).compact(ADMIN, self._root.id)
            collection = GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)
            assert collection.collect(ADMIN, self._root.id, CollectOptions(grace_seconds=0)).removed
        return super().transform(request, **options)


@pytest.mark.parametrize("has_read", [False, True])
def test_a_derivative_is_planned_again_and_told_what_was_done_to_its_input(
    heart: Heart, tmp_path: Path, *, has_read: bool
) -> None:
    root = heart.dataset("readings")
    heart.add_data(root.id)
    derivative = heart.dataset(
        "copy", reading(str(root.id), "select event_time, 1 as x from a"), kind=DatasetKind.DERIVATIVE
    )
    engine = Rushed(heart, root)
    coordinator = a_coordinator(heart, base=tmp_path, engines={"datafusion": engine})
    if has_read:
        coordinator.pull(ADMIN, derivative.id)
    heart.add_data(root.id)
    engine.is_armed.set()

    if has_read:
        with pytest.raises(InvalidInputIntervalError):
            coordinator.pull(ADMIN, derivative.id)
    else:
        done = coordinator.pull(ADMIN, derivative.id)
        assert isinstance(done, Updated)
        assert done.records == 20
