"""Verifies datasets: chain, files and, for derivatives, results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.verify.findings import Findings
from kamu_assets.coordinator.verify.heads import Heads
from kamu_assets.coordinator.verify.model import BlockInterval, Fault, VerificationReport, VerifyOptions
from kamu_assets.coordinator.verify.named_files import NamedFiles
from kamu_assets.coordinator.verify.one_dataset import OneDataset
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.statistics import StatisticsStore, extend
from kamu_assets.datasets.chains.stored import StoredChain
from kamu_assets.datasets.model import DatasetEntry, DatasetStatistics
from kamu_assets.datasets.service import Datasets
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.odf.multihash import Multihash
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

    def examine(self, entry: DatasetEntry, chain: StoredChain, options: VerifyOptions) -> VerificationReport:
        """The same for files in our volume that are no dataset of the registry yet."""
        sums = extend(DatasetStatistics(), chain.blocks)
        began = time.monotonic()
        findings = self._looking(entry, options, sums).verify(chain.head)
        return _report(entry, options, findings, head=chain.head, began=began)

    def _verify(self, entry: DatasetEntry, options: VerifyOptions) -> VerificationReport:
        began = time.monotonic()
        head, faults = Heads(self.database, self.volumes).compare(entry)
        with self.database.reading() as tx:
            sums = StatisticsStore().get(tx, entry.id)
        looking = self._looking(entry, options, sums)
        findings = looking.verify(head) if head is not None else looking.findings(0)
        named = tuple(NamedFiles(self.database, self.volumes).faults(entry))
        if faults or named or findings.has_faults():
            # Deleted meanwhile, it is not damaged but gone.
            with self.database.reading() as tx:
                DatasetStore().get(tx, entry.id)
        return _report(entry, options, findings, head=head, began=began, before=faults, after=named)

    def _looking(self, entry: DatasetEntry, options: VerifyOptions, sums: DatasetStatistics) -> OneDataset:
        return OneDataset(
            entry,
            options,
            data_bytes=sums.data_size + sums.checkpoints_size,
            database=self.database,
            volumes=self.volumes,
            engines=self.engines,
            pool=self.pool,
        )


def _report(
    entry: DatasetEntry,
    options: VerifyOptions,
    findings: Findings,
    *,
    head: Multihash | None,
    began: float,
    before: Sequence[Fault] = (),
    after: Sequence[Fault] = (),
) -> VerificationReport:
    return VerificationReport(
        dataset=entry,
        scope=options.scope,
        head=head,
        counts=findings.counts,
        seconds=time.monotonic() - began,
        faults=(*before, *findings.faults, *after),
        remarks=findings.remarks,
    )
