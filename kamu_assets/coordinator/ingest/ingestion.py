"""Makes slices in child processes and commits them: what polling and pushing share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from kamu_assets.coordinator.ingest.engine_preprocess import EnginePreprocess
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.sidecars.errors import SidecarUnusableError
from kamu_assets.coordinator.ingest.sidecars.planning import HistoryPlan, HistoryPlanner
from kamu_assets.coordinator.ingest.slice_events import NewData, plan_events, schema_of
from kamu_assets.coordinator.ingest.slice_request import SliceInput, SliceRequest, SliceResult
from kamu_assets.coordinator.ingest.worker_jobs import write_slice
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.model import CommitResult, DatasetEntry, NewSlice, Pushed
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.slices.facts import Encodings, SliceStats
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.monitoring import metrics
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.source import MergeStrategy, SourceState
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.files import told_plainly
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import workplace

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """Inputs for one block."""

    inputs: tuple[SliceInput, ...]
    merge: MergeStrategy
    system_time: Timestamp
    source_state: SourceState | None = None
    run_id: str | None = None
    push: Pushed | None = None
    # Told again and again how many rows are written.
    on_rows: Callable[[int], None] | None = None
    # Called when all is read; what it raises ends the work.
    when_read: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the inputs, and the commit if there was anything to commit."""

    result: SliceResult
    commit: CommitResult | None


class Ingestion:
    """From inputs to a block."""

    def __init__(
        self,
        *,
        chains: Chains,
        committer: Committer,
        volumes: Volumes,
        pool: JobRunner,
        engines: EngineRegistry,
        limits: IngestLimits | None = None,
        encodings: Encodings = Encodings.KAMU,
    ) -> None:
        self._committer = committer
        self._volumes = volumes
        self._pool = pool
        self._limits = limits or IngestLimits()
        self._encodings = encodings
        self._preprocess = EnginePreprocess(engines, pool, self._limits)
        self._planner = HistoryPlanner(chains=chains, volumes=volumes)

    def ingest(self, entry: DatasetEntry, chain: ChainState, work: Work) -> Ingested:
        """Add the inputs to the dataset as it was at `chain`; HeadMovedError when it has moved on."""
        plans = self._planner.plans(entry, chain, work.merge)
        plan = next(plans)
        while True:
            try:
                return self._ingest(entry, chain, work, plan)
            except (SidecarUnusableError, WorkerDiedError):
                # Bytes that rot below a mapped file kill the process that reads them.
                if plan.use is None:
                    raise
                plan = next(plans)
                log.warning("sidecar_unusable", dataset=str(entry.id))

    def _ingest(self, entry: DatasetEntry, chain: ChainState, work: Work, plan: HistoryPlan) -> Ingested:
        # Ours, not the worker's: it is removed also when the worker is killed.
        staging = self._volumes.staging(entry.kind)
        with (
            told_plainly(staging),
            workplace(staging, "ingest") as folder,
        ):
            target = folder / "slice"
            done = [self._preprocess.apply(one, folder / str(number)) for number, one in enumerate(work.inputs)]
            request = self._request(chain, replace(work, inputs=tuple(done)), target, plan)
            result = self._pool.run(write_slice, request, on_progress=work.on_rows)
            if work.when_read is not None:
                work.when_read()
            return Ingested(result, self._commit(entry, chain, work, result, target))

    def _request(self, chain: ChainState, work: Work, target: Path, plan: HistoryPlan) -> SliceRequest:
        return SliceRequest(
            inputs=work.inputs,
            merge=work.merge,
            vocab=chain.vocab,
            schema=schema_of(chain),
            previous=plan.slices,
            sidecar=plan.use,
            next_offset=chain.next_offset,
            system_time=work.system_time,
            target=target,
            limits=self._limits,
            encodings=self._encodings,
        )

    def _commit(
        self, entry: DatasetEntry, chain: ChainState, work: Work, result: SliceResult, target: Path
    ) -> CommitResult | None:
        new = NewData(schema=result.schema, source_state=work.source_state)
        files: tuple[NewSlice, ...] = ()
        if result.stats is not None:
            files = (new_slice(result.stats, target),)
            new = replace(new, data_slice=files[0].data_slice, max_event_time=result.stats.max_event_time)
        events = plan_events(chain, new)
        if not events:
            return None
        commit = self._committer.commit(
            entry.id,
            expected_head=chain.head,
            events=events,
            files=files,
            system_time=work.system_time,
            run_id=work.run_id,
            push=work.push,
        )
        metrics.INGEST_RECORDS.add(by=commit.records)
        metrics.INGEST_BYTES.add(by=sum(file.size for file in files))
        return commit


def new_slice(stats: SliceStats, path: Path) -> NewSlice:
    """A written file as the block will name it."""
    if stats.first_offset is None or stats.last_offset is None:
        raise ValueError("a slice without rows has no offsets")
    return NewSlice(
        path=path,
        physical_hash=stats.physical_hash,
        logical_hash=stats.logical_hash,
        offset_interval=OffsetInterval(start=stats.first_offset, end=stats.last_offset),
        size=stats.size,
    )
