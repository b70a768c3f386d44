"""Verifies datasets: chain, files and, for derivatives, results."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.verify.chain_walk import ChainWalk, WalkedBlock
from kamu_assets.coordinator.verify.findings import FaultFoundError, Findings, Stage
from kamu_assets.coordinator.verify.heads import Heads
from kamu_assets.coordinator.verify.input_chains import BrokenInputError, InputChains, InputPart
from kamu_assets.coordinator.verify.model import (
    BlockInterval,
    Fault,
    Place,
    Remark,
    RemarkKind,
    VerdictKind,
    VerificationReport,
    VerifyOptions,
    VerifyScope,
)
from kamu_assets.coordinator.verify.replay import Replay, Replays
from kamu_assets.coordinator.verify.running import JobRunner, SideBySide, StopSignal
from kamu_assets.coordinator.verify.slices import SliceChecks, place_of
from kamu_assets.database.database import Database
from kamu_assets.datasets.block_index import BlockIndex
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.datasets.statistics import StatisticsStore
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput, MetadataBlock, SetTransform
from kamu_assets.odf.identity import DatasetID, DatasetKind, DatasetRef
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

    def _verify(self, entry: DatasetEntry, options: VerifyOptions) -> VerificationReport:
        began = time.monotonic()
        heads = Heads(self.database, self.volumes)
        head, faults = heads.compare(entry)
        run = _Run(self, entry, options, StopSignal(options.cancel))
        findings = run.verify(head) if head is not None else run.findings(0)
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


class _Run:
    """One dataset's verification."""

    def __init__(
        self, verification: Verification, entry: DatasetEntry, options: VerifyOptions, stop: StopSignal
    ) -> None:
        self._parts = verification
        self._entry = entry
        self._options = options
        self._stop = stop
        self._volume = verification.volumes.for_kind(entry.kind)
        self._walk = ChainWalk(self._volume, entry)
        self._inputs = InputChains(verification.volumes)

    def findings(self, blocks: int) -> Findings:
        """Nothing found yet, in so many blocks."""
        with self._parts.database.reading() as tx:
            sums = StatisticsStore().get(tx, self._entry.id)
        size = sums.data_size + sums.checkpoints_size
        return Findings(blocks_total=blocks, bytes_total=size, on_progress=self._options.on_progress)

    def verify(self, head: Multihash) -> Findings:
        """Walk, and check what blocks name on the way."""
        findings = self.findings(0)
        try:
            hashes = self._walk.hashes(self._options.blocks.until or head)
            findings = self.findings(len(hashes))
            self._check_interval(hashes)
            self._check_blocks(hashes, findings)
        except FaultFoundError as error:
            findings.add(Stage.METADATA, error.fault)
        return findings

    def _check_interval(self, hashes: Sequence[Multihash]) -> None:
        after = self._options.blocks.after
        if after is not None and after not in hashes:
            message = "is not in the chain that is verified"
            raise FaultFoundError(Fault(VerdictKind.INVALID_INTERVAL, Place(None, after), message))

    def _check_blocks(self, hashes: Sequence[Multihash], findings: Findings) -> None:
        parts, width = self._parts, os.cpu_count() or 1
        with ThreadPoolExecutor(width) as hashing, SideBySide(width, self._stop) as tasks:
            slices = SliceChecks(self._entry, self._volume, parts.pool, hashing, findings, self._stop)
            replays = Replays(self._entry, parts.volumes, parts.engines, parts.pool, findings, self._stop)
            is_asked = self._options.blocks.after is None
            last: WalkedBlock | None = None
            for walked in self._walk.blocks(hashes):
                self._stop.check()
                if is_asked:
                    replay = self._prepare_replay(walked, replays, findings)
                    tasks.start(_check_block, walked, replay, slices, replays)
                is_asked = is_asked or walked.block_hash == self._options.blocks.after
                findings.count(blocks=1)
                last = walked
            self._check_transform(last, findings)

    def _prepare_replay(self, walked: WalkedBlock, replays: Replays, findings: Findings) -> Replay | None:
        event = walked.block.event
        if not isinstance(event, ExecuteTransform) or self._options.scope is not VerifyScope.FULL:
            return None
        if findings.has_faults():
            return None
        try:
            parts = tuple(self._part(walked, said, findings) for said in event.query_inputs)
        except FaultFoundError as error:
            findings.add(Stage.RESULT, error.fault)
            return None
        return replays.prepare(walked, event, parts)

    def _part(self, walked: WalkedBlock, said: ExecuteTransformInput, findings: Findings) -> InputPart:
        place = place_of(walked)
        with self._parts.database.reading() as tx:
            entry = DatasetStore().find(tx, said.dataset_id)
            until = said.last_block_hash
            is_there = entry and until and BlockIndex().sequence_of(tx, entry.id, until) is not None
        if entry is None:
            message = f"its input {said.dataset_id} is not on this node: pull or adopt it first"
            raise FaultFoundError(Fault(VerdictKind.INPUT_NOT_FOUND, place, message))
        try:
            part = self._inputs.part(entry, said)
        except BrokenInputError as error:
            raise FaultFoundError(Fault(error.kind, place, str(error))) from error
        if until is not None and not is_there:
            message = f"input {entry.alias} was reset or compacted since: block {until} is no longer in its chain"
            findings.add(Stage.RESULT, Remark(RemarkKind.INPUT_REPLACED, place, message))
        return part

    def _check_transform(self, last: WalkedBlock | None, findings: Findings) -> None:
        if last is None or self._entry.kind is DatasetKind.ROOT or self._options.scope is not VerifyScope.FULL:
            return
        if last.before.transform is None and not _sets_transform(last.block):
            message = "the derivative has no SetTransform: there is nothing it could be computed from"
            findings.add(Stage.RESULT, Fault(VerdictKind.TRANSFORM_NOT_DEFINED, place_of(last), message))


def _check_block(walked: WalkedBlock, replay: Replay | None, slices: SliceChecks, replays: Replays) -> None:
    made_again = replays.run(replay) if replay is not None else False
    slices.check(walked, made_again=made_again)


def _sets_transform(block: MetadataBlock) -> bool:
    return isinstance(block.event, SetTransform)
