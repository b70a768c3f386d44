"""Verifies datasets: chain, files and, for derivatives, results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.verify.heads import Heads
from kamu_assets.coordinator.verify.model import BlockInterval, VerificationReport, VerifyOptions
from kamu_assets.coordinator.verify.one_dataset import OneDataset
from kamu_assets.coordinator.verify.running import JobRunner
from kamu_assets.database.database import Database
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Verification:
    """The use case of `kamu-node verify` and of the check `verify`."""

    datasets: Datasets
    database: Database
    volumes: Volumes
    engines: EngineRegistry
    pool: JobRunner

    def verify(self, caller: Caller, ref: DatasetRef, options: VerifyOptions) -> VerificationReport:
        """Look at all of a dataset, and report what is wrong; only what keeps us from looking is raised."""
        entry = self.datasets.resolve(caller, ref)
        inputs = self.upstream(caller, [entry])[:-1] if options.recursive else ()
        reports = tuple(self._verify(each, replace(options, blocks=BlockInterval())) for each in inputs)
        return replace(self._verify(entry, options), inputs=reports)

    def upstream(self, caller: Caller, entries: Sequence[DatasetEntry]) -> Sequence[DatasetEntry]:
        """The datasets and all they are computed from, each once, inputs first."""
        found: dict[DatasetID, DatasetEntry] = {}
        for entry in entries:
            inputs = [each for each in self.datasets.inputs(caller, entry.id) if each.id not in found]
            found |= {each.id: each for each in self.upstream(caller, inputs)}
            found[entry.id] = entry
        return list(found.values())

    def _verify(self, entry: DatasetEntry, options: VerifyOptions) -> VerificationReport:
        began = time.monotonic()
        head, faults = Heads(self.database, self.volumes).compare(entry)
        looking = OneDataset(
            entry, options, database=self.database, volumes=self.volumes, engines=self.engines, pool=self.pool
        )
        findings = looking.verify(head) if head is not None else looking.findings(0)
        if faults or findings.has_faults():
            # Deleted meanwhile, it is not damaged but gone.
            with self.database.reading() as tx:
                DatasetStore().get(tx, entry.id)
        return VerificationReport(
            dataset=entry,
            scope=options.scope,
            head=head,
            counts=findings.counts,
            seconds=time.monotonic() - began,
            faults=(*faults, *findings.faults),
            remarks=findings.remarks,
        )
