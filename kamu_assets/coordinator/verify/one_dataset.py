"""One dataset's verification, from the Seed to the head."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from kamu_assets.coordinator.verify.chain_walk import ChainWalk, WalkedBlock
from kamu_assets.coordinator.verify.findings import FaultFoundError, Findings, Stage
from kamu_assets.coordinator.verify.hashing import hashed
from kamu_assets.coordinator.verify.input_chains import BrokenInputError, InputChains, InputPart
from kamu_assets.coordinator.verify.linked_objects import LinkedObjects
from kamu_assets.coordinator.verify.model import (
    Fault,
    Place,
    Remark,
    RemarkKind,
    VerdictKind,
    VerifyOptions,
    VerifyScope,
)
from kamu_assets.coordinator.verify.replay import Replays
from kamu_assets.coordinator.verify.replay_request import Replay
from kamu_assets.coordinator.verify.running import SideBySide, StopSignal
from kamu_assets.coordinator.verify.slices import SliceChecks, place_of
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput, MetadataBlock, SetTransform
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.volumes import Volumes


class OneDataset:
    """Walks a chain, and checks on the way what its blocks name; a few things at a time."""

    def __init__(
        self,
        entry: DatasetEntry,
        options: VerifyOptions,
        *,
        data_bytes: int,
        database: Database,
        volumes: Volumes,
        engines: EngineRegistry,
        pool: JobRunner,
    ) -> None:
        self._entry = entry
        self._options = options
        self._data_bytes = data_bytes
        self._database = database
        self._volumes = volumes
        self._engines = engines
        self._pool = pool
        self._stop = StopSignal(options.cancel)
        self._volume = volumes.for_kind(entry.kind)
        self._walk = ChainWalk(self._volume, entry)
        self._inputs = InputChains(volumes)

    def findings(self, blocks: int) -> Findings:
        """Nothing found yet, in so many blocks."""
        return Findings(blocks_total=blocks, bytes_total=self._data_bytes, on_progress=self._options.on_progress)

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
        width = os.cpu_count() or 1
        with ThreadPoolExecutor(width) as hashing, SideBySide(width, self._stop) as tasks:
            slices = SliceChecks(self._entry, self._volume, self._pool, hashing, findings, self._stop, self._linked())
            replays = Replays(self._entry, self._volumes, self._engines, self._pool, findings, self._stop)
            is_asked = self._options.blocks.after is None
            last: WalkedBlock | None = None
            for walked in self._walk.blocks(hashes):
                self._stop.check()
                if is_asked:
                    replay = self._prepare_replay(walked, findings)
                    tasks.start(_check_block, walked, replay, slices, replays)
                is_asked = is_asked or walked.block_hash == self._options.blocks.after
                findings.count(blocks=1)
                last = walked
            self._check_transform(last, findings)

    def _linked(self) -> LinkedObjects:
        def hash_of(key: str, name: Multihash) -> Multihash:
            return hashed(self._volume, key, name, on_chunk=lambda _: self._stop.check())

        return LinkedObjects(self._entry, self._volume, hash_of)

    def _prepare_replay(self, walked: WalkedBlock, findings: Findings) -> Replay | None:
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
        return Replay.of(walked, event, parts)

    def _part(self, walked: WalkedBlock, said: ExecuteTransformInput, findings: Findings) -> InputPart:
        place = place_of(walked)
        with self._database.reading() as tx:
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
