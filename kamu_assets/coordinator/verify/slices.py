"""Checks the slice and the checkpoint of one block against what the block says of them."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from kamu_assets.coordinator.ingest.slice_events import schema_of
from kamu_assets.coordinator.verify.chain_walk import WalkedBlock
from kamu_assets.coordinator.verify.findings import Findings, Stage
from kamu_assets.coordinator.verify.hashing import hashed
from kamu_assets.coordinator.verify.linked_objects import LinkedObjects
from kamu_assets.coordinator.verify.model import RESTORE, Fault, Place, Remark, RemarkKind, VerdictKind
from kamu_assets.coordinator.verify.running import StopSignal, patiently
from kamu_assets.coordinator.verify.slice_questions import SliceAnswer, SliceQuestion
from kamu_assets.coordinator.verify.worker_jobs import look_at_slice
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.limits import AbortedError, MemoryLimitError, TimeLimitError, WorkerDiedError
from kamu_assets.odf.dataset import AddData, Checkpoint, DataSlice, ExecuteTransform
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.errors import ObjectNotFoundError
from kamu_assets.storage.layout import checkpoint_key, data_key
from kamu_assets.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class SliceChecks:
    """Checks the files of one dataset."""

    entry: DatasetEntry
    volume: ObjectStore
    pool: JobRunner
    # Files are hashed here while their rows are read elsewhere.
    hashing: Executor
    findings: Findings
    stop: StopSignal
    linked: LinkedObjects

    def check(self, walked: WalkedBlock, *, made_again: bool = False) -> None:
        """Everything that the block names; what is wrong goes to the findings.

        Of a slice that was `made_again`, byte for byte, the rows are known: its bytes need to be looked at only.
        """
        event = walked.block.event
        if not isinstance(event, AddData | ExecuteTransform):
            return
        if event.new_data is not None:
            self._tell(self._slice(walked, event.new_data, event.new_watermark, made_again=made_again))
        if event.new_checkpoint is not None:
            self._tell(self._checkpoint(walked, event.new_checkpoint))

    def _tell(self, found: Iterator[Fault | Remark]) -> None:
        for each in found:
            self.findings.add(Stage.DATA, each)

    def _slice(
        self, walked: WalkedBlock, said: DataSlice, watermark: Timestamp | None, *, made_again: bool
    ) -> Iterator[Fault | Remark]:
        key, place = data_key(self.entry.id, said.physical_hash), place_of(walked, f"data/{said.physical_hash}")
        fault = self._size(key, place, said.size, VerdictKind.DATA_SIZE_MISMATCH)
        if fault is not None:
            yield fault
            return
        hashing = self.hashing.submit(self._hash, key, said.physical_hash)
        answer = None if made_again else self._read(walked, said)
        actual = hashing.result()
        physical = _compare(place, VerdictKind.DATA_PHYSICAL_HASH_MISMATCH, "the file", said.physical_hash, actual)
        if answer is None:
            answer = self._read(walked, said) if physical else _as_said(said)
        self.findings.count(slices=1, records=answer.records)
        if physical is not None and self.entry.kind is DatasetKind.ROOT:
            yield physical
        elif (content := _content_fault(place, said, answer)) is not None:
            yield content
        elif physical is not None:
            yield Remark(RemarkKind.REENCODED, place, f"its bytes hash to {actual}, but its rows are the right ones")
        elif self.entry.kind is DatasetKind.ROOT:
            yield from _watermark_remark(place, watermark, answer)
            yield from self._links(place, answer)

    def _links(self, place: Place, answer: SliceAnswer) -> Iterator[Fault]:
        if answer.wrong_links is not None:
            yield Fault(VerdictKind.INVALID_LINK, place, answer.wrong_links)
            return
        yield from self.linked.faults(answer.links, place)

    def _checkpoint(self, walked: WalkedBlock, said: Checkpoint) -> Iterator[Fault]:
        name = said.physical_hash
        key, place = checkpoint_key(self.entry.id, name), place_of(walked, f"checkpoints/{name}")
        fault = self._size(key, place, said.size, VerdictKind.CHECKPOINT_SIZE_MISMATCH)
        if fault is None:
            kind = VerdictKind.CHECKPOINT_PHYSICAL_HASH_MISMATCH
            fault = _compare(place, kind, "the file", name, self._hash(key, name))
        if fault is not None:
            yield fault

    def _size(self, key: str, place: Place, size: int, kind: VerdictKind) -> Fault | None:
        try:
            found = self.volume.stat(key).size
        except ObjectNotFoundError:
            return Fault(VerdictKind.OBJECT_NOT_FOUND, place, f"is not there: {RESTORE}")
        if found != size:
            return Fault(kind, place, f"has {found} bytes, not {size}: {RESTORE}", str(size), str(found))
        return None

    def _hash(self, key: str, name: Multihash) -> Multihash:
        return hashed(self.volume, key, name, on_chunk=self._count)

    def _count(self, size: int) -> None:
        self.stop.check()
        self.findings.count(bytes=size)

    def _read(self, walked: WalkedBlock, said: DataSlice) -> SliceAnswer:
        location = self.volume.location(data_key(self.entry.id, said.physical_hash))
        before = walked.before
        question = SliceQuestion(location, said.offset_interval, schema_of(before), before.vocab)
        try:
            return patiently(lambda: self.pool.run(look_at_slice, question, cancel=self.stop), self.stop)
        except (AbortedError, MemoryLimitError, TimeLimitError, WorkerDiedError) as error:
            return SliceAnswer(unreadable=str(error))


def place_of(walked: WalkedBlock, file: str | None = None) -> Place:
    """Where something is that a block names."""
    return Place(walked.block.sequence_number, walked.block_hash, file)


def _compare(place: Place, kind: VerdictKind, what: str, expected: Multihash, found: Multihash) -> Fault | None:
    if expected == found:
        return None
    return Fault(kind, place, f"{what} hashes to {found}: {RESTORE}", str(expected), str(found))


def _as_said(said: DataSlice) -> SliceAnswer:
    interval = said.offset_interval
    return SliceAnswer(said.logical_hash, records=interval.end - interval.start + 1)


def _content_fault(place: Place, said: DataSlice, answer: SliceAnswer) -> Fault | None:
    if answer.logical_hash is None:
        return Fault(VerdictKind.DATA_UNREADABLE, place, f"cannot be read: {answer.unreadable}; {RESTORE}")
    fault = _compare(
        place, VerdictKind.DATA_LOGICAL_HASH_MISMATCH, "its content", said.logical_hash, answer.logical_hash
    )
    if fault is not None:
        return fault
    if answer.wrong_schema is not None:
        return Fault(VerdictKind.DATA_SCHEMA_MISMATCH, place, answer.wrong_schema)
    if answer.wrong_offsets is not None:
        interval = said.offset_interval
        expected = f"{interval.start} to {interval.end}"
        message = f"{answer.wrong_offsets}; the block says {expected}"
        return Fault(VerdictKind.DATA_OFFSETS_MISMATCH, place, message, expected=expected)
    return None


def _watermark_remark(place: Place, watermark: Timestamp | None, answer: SliceAnswer) -> Iterator[Remark]:
    newest = answer.max_event_millis
    if newest is not None and (watermark is None or watermark.millis < newest):
        moment = Timestamp.from_millis(newest)
        yield Remark(RemarkKind.WATERMARK_BEHIND, place, f"the newest row is of {moment}, the watermark {watermark}")
