"""What jobs do to a dataset whatever it is called by then, and what they say when they fail."""

from __future__ import annotations

import logging
from typing import cast

import pytest
from dagster import Failure, build_op_context

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.garbage import GarbageCollection
from kamu_assets.coordinator.results import ReorganizationResult, Reorganized
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.defs.operations import OPERATOR, collect_garbage
from kamu_assets.defs.operator import GarbageLeftError, NodeOperator, Reorganizes
from kamu_assets.odf.identity import DatasetAlias, DatasetRef, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from tests.support.heart import ADMIN, an_entry

HEAD = Multihash.sha3_256(b"head")


class RenamedMeanwhile:
    """Datasets and their service, as far as a reset needs them; while one is reset, its name is given away."""

    def __init__(self) -> None:
        self._entry = an_entry("before")
        self._has_name = True

    def resolve(self, _caller: Caller, ref: DatasetRef) -> DatasetEntry:
        if isinstance(ref, DatasetAlias) and not self._has_name:
            raise DatasetNotFoundError(ref)
        return self._entry

    def reset_to_metadata(
        self, caller: Caller, dataset: DatasetRef, *, run_id: str | None = None
    ) -> ReorganizationResult:
        assert (caller, dataset, run_id) == (ADMIN, self._entry.id, "run")
        self._has_name = False
        return Reorganized(HEAD, HEAD, original_blocks=2, resulting_blocks=1)


def test_a_dataset_that_is_renamed_meanwhile_is_the_same() -> None:
    renamed = RenamedMeanwhile()
    operator = NodeOperator(
        reorganization=cast("Reorganizes", renamed),
        garbage=cast("GarbageCollection", None),
        datasets=cast("Datasets", renamed),
        caller=ADMIN,
        grace_seconds=0,
    )

    assert operator.reset_to_metadata(parse_dataset_ref("kamu/before"), run_id="run", log=logging.getLogger("test"))


class SomeGarbageStays:
    """Removes what it can, and no more."""

    def collect_garbage(self, *, run_id: str, log: logging.Logger) -> bool:
        log.info("run %s", run_id)
        raise GarbageLeftError(1, 3)


def test_a_collection_that_failed_does_not_say_that_nothing_was_changed() -> None:
    with pytest.raises(Failure) as told:
        collect_garbage(build_op_context(resources={OPERATOR: SomeGarbageStays()}))

    assert "of 1 of 3 datasets" in str(told.value.description)
    assert "Nothing was changed" not in str(told.value.metadata["what_to_do"].value)
