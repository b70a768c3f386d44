"""What the node does to datasets, slowly to those named `slow…`, so that there is time to stop it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.garbage import Collected, CollectOptions, GarbageCollection
from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import ReorganizationResult
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.coordinator.verify.model import VerificationReport, VerifyOptions
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.identity import DatasetRef

SECONDS = 60.0


@dataclass(frozen=True)
class SlowServices:
    """The services, as runs use them."""

    datasets: Datasets
    reorganization: Reorganization
    coordinator: Coordinator
    garbage: GarbageCollection

    def compact(
        self, caller: Caller, dataset: DatasetRef, options: CompactOptions | None = None
    ) -> ReorganizationResult:
        self._wait(caller, dataset)
        return self.reorganization.compact(caller, dataset, options)

    def reset(self, caller: Caller, dataset: DatasetRef, options: ResetOptions | None = None) -> ReorganizationResult:
        self._wait(caller, dataset)
        return self.reorganization.reset(caller, dataset, options)

    def reset_to_metadata(
        self, caller: Caller, dataset: DatasetRef, *, run_id: str | None = None
    ) -> ReorganizationResult:
        self._wait(caller, dataset)
        return self.reorganization.reset_to_metadata(caller, dataset, run_id=run_id)

    def verify(self, caller: Caller, dataset: DatasetRef, options: VerifyOptions | None = None) -> VerificationReport:
        self._wait(caller, dataset)
        return self.coordinator.verify(caller, dataset, options)

    def collect(self, caller: Caller, dataset: DatasetRef, options: CollectOptions | None = None) -> Collected:
        self._wait(caller, dataset)
        return self.garbage.collect(caller, dataset, options)

    def _wait(self, caller: Caller, dataset: DatasetRef) -> None:
        if str(self.datasets.resolve(caller, dataset).name).startswith("slow"):
            time.sleep(SECONDS)
