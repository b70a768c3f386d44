"""The coordinator: brings datasets up to date, from outside or from other datasets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.adoption import AdoptOptions, VerifiedAdoption
from kamu_assets.coordinator.errors import InvalidInputIntervalError, WatermarkOnDerivativeError
from kamu_assets.coordinator.ingest.errors import NotRootError, PushSourceNotFoundError
from kamu_assets.coordinator.ingest.guesses import GuessedSource, GuessRequest
from kamu_assets.coordinator.ingest.ingestion import Ingestion
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.poll import Poller, PollOptions, PollRules
from kamu_assets.coordinator.ingest.push.group_commit import GroupCommit
from kamu_assets.coordinator.ingest.push.queue import GROUP_BYTES, QUEUE_BYTES, Push, PushQueue
from kamu_assets.coordinator.ingest.push.source import select_push_source
from kamu_assets.coordinator.ingest.slice_events import plan_watermark
from kamu_assets.coordinator.ingest.worker_jobs import guess
from kamu_assets.coordinator.metadata_events import MetadataEvents
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.results import PullResult, PushResult, Updated, UpToDate, WatermarkResult
from kamu_assets.coordinator.transform import TransformOptions, Transforms
from kamu_assets.coordinator.verify.model import VerificationReport, VerifyOptions
from kamu_assets.coordinator.verify.service import Verification
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.damaged_slices import StoredSlice, bad_slices_blamed
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.governance.access import Action
from kamu_assets.monitoring import metrics
from kamu_assets.odf.dataset import DatasetKind, MetadataEvent
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import ReadStep
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.volumes import Volumes

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class PushData:
    """A body as it came: in memory, or spooled to a file when it is large."""

    content: bytes | Path
    # How messages call it.
    name: str = "pushed data"


@dataclass(frozen=True, slots=True)
class CoordinatorConfig:
    """Limits and places of ingest; each is a setting of the node."""

    # Relative paths in manifests start here.
    base: Path
    ingest: IngestLimits
    poll: PollRules
    encodings: Encodings = Encodings.KAMU
    group_bytes: int = GROUP_BYTES
    queue_bytes: int = QUEUE_BYTES


class Coordinator:
    """Pull, push, set watermarks, commit metadata events, verify."""

    def __init__(
        self,
        *,
        datasets: Datasets,
        database: Database,
        chains: Chains,
        committer: Committer,
        volumes: Volumes,
        ingest_pool: JobRunner,
        verify_pool: JobRunner,
        engines: EngineRegistry,
        verify_engines: EngineRegistry | None = None,
        clock: Clock,
        config: CoordinatorConfig,
        reorganization: Reorganization,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._pool = ingest_pool
        self._limits = config.ingest
        self._datasets = datasets
        self._chains = chains
        self._committer = committer
        self._clock = clock
        self._reorganization = reorganization
        self._metadata_events = MetadataEvents(datasets=datasets, chains=chains, committer=committer, clock=clock)
        ingestion = Ingestion(
            chains=chains,
            committer=committer,
            volumes=volumes,
            pool=ingest_pool,
            engines=engines,
            limits=config.ingest,
            encodings=config.encodings,
        )
        self._poller = Poller(
            chains=chains,
            volumes=volumes,
            ingestion=ingestion,
            pool=ingest_pool,
            clock=clock,
            base=config.base,
            rules=config.poll,
            variables=variables,
        )
        groups = GroupCommit(database=database, chains=chains, ingestion=ingestion, clock=clock)
        self._queue = PushQueue(groups.commit, group_bytes=config.group_bytes, queue_bytes=config.queue_bytes)
        self._transforms = Transforms(
            database=database, chains=chains, committer=committer, volumes=volumes, engines=engines, clock=clock
        )
        self._verification = Verification(
            datasets=datasets,
            database=database,
            volumes=volumes,
            engines=verify_engines or engines,
            pool=verify_pool,
        )

    def guess_source(self, sample: Path, read: ReadStep, scratch: Path) -> GuessedSource:
        """How a file is to be read that comes without a manifest, proven on all of it; works in a folder of yours."""
        return self._pool.run(guess, GuessRequest(sample, read, scratch, self._limits))

    def pull(
        self,
        caller: Caller,
        dataset: DatasetRef,
        *,
        run_id: str | None = None,
        fetch_uncacheable: bool = False,
        max_slices: int | None = None,
        reset_on_diverged_input: bool = False,
        on_progress: Callable[[Updated], None] | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> PullResult:
        """Roots: poll the source until it has no more. Derivatives: compute what is new in the inputs.

        `on_progress` is told after each committed slice, `on_rows` while one is written. With `reset_on_diverged_input`
        a derivative whose inputs were rewritten drops its rows and is computed anew.
        """
        entry = self._datasets.resolve(caller, dataset, action=Action.WRITE)
        with bad_slices_blamed(lambda: self._slices(caller, entry)):
            if entry.kind is DatasetKind.DERIVATIVE:
                transform = TransformOptions(run_id=run_id, on_progress=on_rows)
                return self._transform_anyway(caller, entry, transform, anew=reset_on_diverged_input)
            options = PollOptions(run_id, fetch_uncacheable, max_slices, on_progress, on_rows)
            with metrics.INGEST.measured("poll"):
                return self._poller.poll(entry, options)

    def push(
        self,
        caller: Caller,
        dataset: DatasetRef,
        data: PushData,
        *,
        source_name: str | None = None,
        media_type: str | None = None,
        source_event_time: Timestamp | None = None,
    ) -> PushResult:
        """Add data to a root; gives when it is durable and readable. Concurrent pushes share blocks."""
        entry = self._writable_root(caller, dataset)
        # Known mistakes need not wait in the queue.
        chain = self._chains.state(entry.id)
        if chain.polling_source is not None and not chain.push_sources:
            raise PushSourceNotFoundError(
                f"{entry.alias} polls its source and takes no pushes: use `kamu-node pull {entry.alias}`"
            )
        select_push_source(chain, source_name)
        push = Push(data.content, data.name, source_name, media_type, source_event_time)
        with bad_slices_blamed(lambda: self._slices(caller, entry)), metrics.INGEST.measured("push"):
            return self._queue.push(entry.id, push)

    def set_watermark(
        self, caller: Caller, dataset: DatasetRef, watermark: Timestamp, *, run_id: str | None = None
    ) -> WatermarkResult:
        """Declare that a root's data is complete up to an event time; an earlier one than before changes nothing."""
        entry = self._datasets.resolve(caller, dataset, action=Action.WRITE)
        if entry.kind is DatasetKind.DERIVATIVE:
            raise WatermarkOnDerivativeError(
                f"{entry.alias}: a derivative's watermark is that of its inputs: set theirs"
            )
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._set_watermark(entry, watermark, run_id)
            except HeadMovedError:
                continue
        return self._set_watermark(entry, watermark, run_id)

    def commit_event(
        self, caller: Caller, dataset: DatasetRef, event: MetadataEvent, *, expected_head: Multihash | None = None
    ) -> Updated:
        """Append a metadata event that someone decided upon; a ChainRuleError says why the chain refuses it."""
        return self._metadata_events.commit(caller, dataset, event, expected_head=expected_head)

    def verify(self, caller: Caller, dataset: DatasetRef, options: VerifyOptions | None = None) -> VerificationReport:
        """Whether chain and files are what they say they are and, for derivatives, results can be computed again."""
        return self._verification.verify(caller, dataset, options or VerifyOptions())

    def adopt(self, caller: Caller, directory: Path, options: AdoptOptions | None = None) -> DatasetEntry:
        """Take in a directory that other ODF software made, once all of it is what it says it is."""
        return VerifiedAdoption(self._datasets, self._verification).adopt(caller, directory, options or AdoptOptions())

    def upstream(self, caller: Caller, entries: Sequence[DatasetEntry]) -> Sequence[DatasetEntry]:
        """The datasets and all that they are computed from, inputs first."""
        return self._verification.upstream(caller, entries)

    @property
    def is_full(self) -> bool:
        """Whether pushes are refused because too many wait."""
        return self._queue.is_full

    def _transform_anyway(
        self, caller: Caller, entry: DatasetEntry, options: TransformOptions, *, anew: bool
    ) -> PullResult:
        try:
            return self._transform(entry, options)
        except InvalidInputIntervalError:
            if not anew:
                raise
        self._reorganization.reset_to_metadata(caller, entry.id, run_id=options.run_id)
        return self._transform(entry, options)

    def _transform(self, entry: DatasetEntry, options: TransformOptions) -> PullResult:
        with metrics.TRANSFORM.measured():
            result = self._transforms.transform(entry, options)
        if isinstance(result, Updated):
            metrics.TRANSFORM_RECORDS.add(by=result.records)
        return result

    def _set_watermark(self, entry: DatasetEntry, watermark: Timestamp, run_id: str | None) -> WatermarkResult:
        chain = self._chains.state(entry.id)
        events = plan_watermark(chain, watermark)
        if not events:
            return UpToDate()
        now = next_system_time(self._clock, chain)
        commit = self._committer.commit(
            entry.id, expected_head=chain.head, events=events, system_time=now, run_id=run_id
        )
        return Updated.of(commit)

    def _slices(self, caller: Caller, entry: DatasetEntry) -> Iterator[StoredSlice]:
        """What an update of the dataset may read."""
        for one in (*self._datasets.inputs(caller, entry.id), entry):
            yield from self._datasets.stored_slices(one)

    def _writable_root(self, caller: Caller, dataset: DatasetRef) -> DatasetEntry:
        entry = self._datasets.resolve(caller, dataset, action=Action.WRITE)
        if entry.kind is not DatasetKind.ROOT:
            raise NotRootError(f"{entry.alias} is a derivative dataset: push to its inputs, it is computed from them")
        return entry
