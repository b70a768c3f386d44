"""Computes results of a derivative again and compares them with what its blocks say (ODF: Transaction Validity).

Each block is replayed with the transform that was in force when it was made. kamu takes the newest one for all blocks,
so that a dataset whose query was changed no longer verifies there, although every block is an honest result.
"""

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.coordinator.verify.damaged_inputs import damaged_input
from kamu_assets.coordinator.verify.findings import FaultFoundError, Findings, Stage
from kamu_assets.coordinator.verify.model import Fault, Place, Remark, RemarkKind, VerdictKind
from kamu_assets.coordinator.verify.replay_event import differences, event_of, hash_of
from kamu_assets.coordinator.verify.replay_request import Replay, request_of
from kamu_assets.coordinator.verify.running import StopSignal, VerificationCancelledError, patiently
from kamu_assets.coordinator.verify.slice_questions import TwoSlices
from kamu_assets.coordinator.verify.volatile import volatile_functions
from kamu_assets.coordinator.verify.worker_jobs import have_same_rows
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.engine import RowHasher, TransformSuccess
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.limits import DiskRefusedError, JobCancelledError, NoSpaceError, PoolClosedError
from kamu_assets.errors import KamuError
from kamu_assets.odf.dataset import ExecuteTransform
from kamu_assets.odf.engine import TransformSql
from kamu_assets.storage.errors import StorageFullError
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import workplace

# Says nothing about the dataset.
_NOT_ITS_FAULT = (
    DiskRefusedError,
    JobCancelledError,
    NoSpaceError,
    PoolClosedError,
    StorageFullError,
    VerificationCancelledError,
)
_UNION = re.compile(r"\bunion\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Replays:
    """Replays blocks of one derivative, in any order: each names the checkpoint it started from."""

    entry: DatasetEntry
    volumes: Volumes
    engines: EngineRegistry
    pool: JobRunner
    findings: Findings
    stop: StopSignal

    def run(self, replay: Replay) -> bool:
        """Execute and compare; nothing is executed any more once something is wrong.

        Tells whether the very bytes of the recorded slice were made again.
        """
        if self.findings.has_faults():
            return False
        same_bytes = False
        try:
            with self._output() as (data, checkpoint):
                answer = self._execute(replay, data, checkpoint)
                found = self._compare(replay, answer, data, checkpoint)
                same_bytes = found is None and _made_again(replay.event, answer)
        except FaultFoundError as error:
            found = error.fault
        if isinstance(found, Fault) and (blamed := damaged_input(replay, self.volumes)):
            found = dataclasses.replace(found, message=f"cannot be computed again: {blamed}")
        self.findings.count(replays=1)
        if found is not None:
            self.findings.add(Stage.RESULT, found)
        return same_bytes

    def _execute(self, replay: Replay, data: Path, checkpoint: Path, *, keep_rows: bool = False) -> TransformSuccess:
        """The answer of the engine; rows need not be kept as long as their hash is the right one."""
        try:
            engine = self.engines.get(replay.transform.engine)
            request = request_of(replay, self.entry, self.volumes, data=data, checkpoint=checkpoint)
            execute = engine.hash_rows if isinstance(engine, RowHasher) and not keep_rows else engine.transform
            answer = patiently(lambda: execute(request, cancel=self.stop), self.stop)
        except _NOT_ITS_FAULT:
            raise
        except KamuError as error:
            raise FaultFoundError(_engine_error(replay.place, str(error))) from error
        if not isinstance(answer, TransformSuccess):
            raise FaultFoundError(_engine_error(replay.place, answer.message))
        if answer.new_offset_interval is not None and hash_of(answer) is None:
            raise FaultFoundError(_engine_error(replay.place, "the engine does not describe the slice it wrote"))
        return answer

    def _compare(self, replay: Replay, answer: TransformSuccess, data: Path, checkpoint: Path) -> Fault | Remark | None:
        found = event_of(replay.event, answer)
        wrong = differences(replay.event, found)
        if not wrong:
            return None
        expected, actual = (", ".join(each) for each in zip(*wrong.values(), strict=True))
        if wrong.keys() == {"logical hash"} and self._same_rows(replay, data, checkpoint):
            if _order_is_open(replay.transform):
                message = "computed again, its rows are the same in another order, which the query leaves open"
                return Remark(RemarkKind.ROW_ORDER, replay.place, message)
            message = "computed again, its rows are the same in another order"
        else:
            message = f"computed again, the result has another {' and '.join(wrong)}: {actual} instead of {expected}"
        if volatile := volatile_functions(replay.transform):
            message += (
                f"; the likely reason is {', '.join(volatile)} in its query, which gives something else each time"
            )
        return Fault(VerdictKind.DATA_NOT_REPRODUCIBLE, replay.place, message, expected, actual)

    def _same_rows(self, replay: Replay, data: Path, checkpoint: Path) -> bool:
        said = replay.event.new_data
        if said is None:
            return False
        if not data.exists():
            self._execute(replay, data, checkpoint, keep_rows=True)
        stored = self.volumes.for_kind(self.entry.kind).location(data_key(self.entry.id, said.physical_hash))
        slices = TwoSlices(stored, str(data), replay.walked.before.vocab.offset_column)
        return patiently(lambda: self.pool.run(have_same_rows, slices, cancel=self.stop), self.stop)

    @contextmanager
    def _output(self) -> Iterator[tuple[Path, Path]]:
        """Where the engine leaves what it makes, until it is compared."""
        with workplace(self.volumes.staging(self.entry.kind), "replay") as folder:
            yield folder / "slice", folder / "checkpoint"


def _engine_error(place: Place, message: str) -> Fault:
    return Fault(VerdictKind.ENGINE_ERROR, place, f"cannot be computed again: {message}")


def _made_again(event: ExecuteTransform, answer: TransformSuccess) -> bool:
    return bool(event.new_data and answer.stats and event.new_data.physical_hash == answer.stats.physical_hash)


def _order_is_open(transform: TransformSql) -> bool:
    """Branches of a UNION race in upstream's engine."""
    return any(_UNION.search(step.query) for step in transform.queries or ())
