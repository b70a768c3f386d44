"""What the run that removes garbage makes of datasets that cannot be swept."""

from __future__ import annotations

import logging
from typing import cast

import pytest

from kamu_assets.coordinator.garbage import Collected
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.defs.operator import GarbageLeftError, NodeOperator
from kamu_assets.errors import KamuError, UnavailableError
from kamu_assets.flows.results import FlowResult, GarbageRemoved
from kamu_assets.flows.scopes import Scope
from tests.support.heart import ADMIN, an_entry

DELETED = DatasetNotFoundError(an_entry("deleted").id)
LOST = UnavailableError("the disk is gone")


class Swept:
    """Two datasets, of which the first has garbage and the other fails like this."""

    def __init__(self, error: KamuError) -> None:
        self._error = error
        self.achieved: list[FlowResult] = []

    def list(self, *_: object) -> list[DatasetEntry]:
        return [an_entry("swept"), an_entry("other")]

    def collect(self, _caller: object, dataset: object, _options: object = None) -> Collected:
        if dataset == an_entry("swept").id:
            return Collected(removed=2, removed_bytes=20)
        raise self._error

    def note(self, _run_id: str, _scope: Scope, result: FlowResult) -> None:
        self.achieved.append(result)

    def sweep(self) -> bool:
        operator = NodeOperator(
            reorganization=cast("object", None),  # type: ignore[arg-type] # nothing is reorganized
            garbage=self,
            datasets=cast("Datasets", self),
            caller=ADMIN,
            grace_seconds=0,
            achieved=self.note,
        )
        return operator.collect_garbage(run_id="run", log=logging.getLogger("test"))


def test_a_dataset_that_is_deleted_meanwhile_is_no_failure() -> None:
    swept = Swept(DELETED)

    assert swept.sweep()
    assert swept.achieved == [GarbageRemoved(files=2, bytes=20, datasets=2)]


def test_one_that_cannot_be_read_keeps_nobody_from_the_others_and_is_told() -> None:
    swept = Swept(LOST)

    with pytest.raises(GarbageLeftError, match="garbage of 1 of 2 datasets"):
        swept.sweep()
    assert swept.achieved == [GarbageRemoved(files=2, bytes=20, datasets=1)]
