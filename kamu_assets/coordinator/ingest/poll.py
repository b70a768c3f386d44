"""Polling: fetch what a source has, slice by slice, until it has no more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kamu_assets.clock import Clock
from kamu_assets.coordinator.ingest.fetch.marks import blaming_change
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.savepoints import DatasetSavepoint, SavepointLimits
from kamu_assets.coordinator.ingest.fetch.steps import fetch
from kamu_assets.coordinator.ingest.ingestion import Ingestion, Work
from kamu_assets.coordinator.ingest.limits import FetchLimits, PrepareLimits
from kamu_assets.coordinator.ingest.prepare.steps import Prepared, PrepareRequest, check_prepare, prepare_file
from kamu_assets.coordinator.ingest.slice_request import SliceInput
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import NothingToPoll, PullResult, Updated, UpToDate
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetPollingSource
from kamu_assets.odf.source import CompressionFormat, PrepStepDecompress
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.files import told_plainly
from kamu_assets.storage.layout import savepoint_folder
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import workplace

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class PollOptions:
    """How a pull of a root is done."""

    run_id: str | None = None
    fetch_uncacheable: bool = False
    max_slices: int | None = None
    # Told after every slice how far the pull has come.
    on_progress: Callable[[Updated], None] | None = None
    # Told while a slice is written how many rows of it are.
    on_rows: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class PollRules:
    """What sources may do; each is a setting of the node."""

    fetch: FetchLimits = field(default_factory=FetchLimits)
    prepare: PrepareLimits = field(default_factory=PrepareLimits)
    savepoints: SavepointLimits = field(default_factory=SavepointLimits)
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    # Folders that files may come from; None: any.
    file_roots: tuple[Path, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    update: Updated | None
    has_more: bool


class Poller:
    """Polls the sources of root datasets."""

    def __init__(
        self,
        *,
        chains: Chains,
        volumes: Volumes,
        ingestion: Ingestion,
        pool: JobRunner,
        clock: Clock,
        base: Path,
        rules: PollRules | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._chains = chains
        self._volumes = volumes
        self._ingestion = ingestion
        self._pool = pool
        self._clock = clock
        self._base = base
        self._rules = rules or PollRules()
        self._variables = dict(variables or {})

    def poll(self, entry: DatasetEntry, options: PollOptions) -> PullResult:
        """Ingest everything new. A file that fails ends the pull; slices before it stay committed."""
        total: Updated | None = None
        slices = 0
        while True:
            step = self._retried_step(entry, options, first=slices == 0)
            if not isinstance(step, _Step):
                return step
            slices += 1
            if step.update is not None:
                total = total.then(step.update) if total else step.update
                _report(options, total)
            if not step.has_more or slices == options.max_slices:
                return replace(total, has_more=step.has_more) if total else UpToDate()

    def _retried_step(self, entry: DatasetEntry, options: PollOptions, *, first: bool) -> _Step | PullResult:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._step(entry, options, first=first)
            except HeadMovedError:
                continue
        return self._step(entry, options, first=first)

    def _step(self, entry: DatasetEntry, options: PollOptions, *, first: bool) -> _Step | PullResult:
        chain = self._chains.state(entry.id)
        source = chain.polling_source
        if source is None:
            return NothingToPoll()
        check_prepare(source.prepare)
        forgetful = chain.last_data is not None and chain.source_state is None
        if first and forgetful and not options.fetch_uncacheable:
            return UpToDate(uncacheable=True)
        return self._taken(entry, chain, source, options)

    def _taken(self, entry: DatasetEntry, chain: ChainState, source: SetPollingSource, options: PollOptions) -> _Step:
        """What is new at the source, fetched and committed."""
        now = next_system_time(self._clock, chain)
        savepoint = self._savepoint(entry, now)
        staging = self._volumes.staging(entry.kind)
        with told_plainly(staging), workplace(staging, "fetch") as folder:
            request = self._request(chain, now, folder)
            if not options.fetch_uncacheable:
                request = replace(request, savepoint=savepoint)
            found = fetch(source.fetch, request)
            if found is None:
                return _Step(None, has_more=False)
            with blaming_change(found.mark):
                file = self._prepared(found, source, folder)
                commit = self._ingestion.ingest(entry, chain, _work(source, found, file, now, options)).commit
        savepoint.drop()
        return _Step(Updated.of(commit) if commit else None, has_more=found.has_more)

    def _prepared(self, found: Fetched, source: SetPollingSource, folder: Path) -> Prepared:
        if not source.prepare:
            return Prepared(found.path, found.name)
        request = PrepareRequest(found.path, found.name, source.prepare, folder, self._rules.prepare)
        return self._pool.run(prepare_file, request)

    def _savepoint(self, entry: DatasetEntry, now: Timestamp) -> DatasetSavepoint:
        folder = savepoint_folder(self._volumes.for_kind(entry.kind), entry.id)
        return DatasetSavepoint(folder, now=now, limits=self._rules.savepoints)

    def _request(self, chain: ChainState, system_time: Timestamp, folder: Path) -> FetchRequest:
        return FetchRequest(
            previous=chain.source_state,
            system_time=system_time,
            folder=folder,
            base=self._base,
            limits=self._rules.fetch,
            variables=self._variables,
            egress=self._rules.egress,
            unpacks_gzip=_unpacks_gzip(chain.polling_source),
            file_roots=self._rules.file_roots,
        )


def _unpacks_gzip(source: SetPollingSource | None) -> bool:
    first = next(iter(source.prepare or ()), None) if source is not None else None
    return isinstance(first, PrepStepDecompress) and first.format is CompressionFormat.GZIP


def _work(
    source: SetPollingSource, found: Fetched, file: Prepared, system_time: Timestamp, options: PollOptions
) -> Work:
    one = SliceInput(
        name=file.name,
        content=file.path,
        read=source.read,
        preprocess=source.preprocess,
        source_event_time=found.source_event_time,
    )
    return Work(
        (one,),
        source.merge,
        system_time,
        found.source_state,
        run_id=options.run_id,
        on_rows=options.on_rows,
        when_read=None if found.mark is None else found.mark.check,
    )


def _report(options: PollOptions, total: Updated) -> None:
    if options.on_progress is not None:
        options.on_progress(total)
