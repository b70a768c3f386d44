"""Computes the next block of a derivative dataset: plan, run the engine, commit (ODF: ExecuteTransform)."""

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kamu_assets.clock import Clock
from kamu_assets.coordinator.errors import (
    InvalidTransformQueryError,
    TransformFailedError,
    TransformNotDefinedError,
)
from kamu_assets.coordinator.ingest.ingestion import new_slice
from kamu_assets.coordinator.ingest.slice_events import schema_of
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import PullResult, Updated, UpToDate
from kamu_assets.coordinator.transform_inputs import InputsWithoutSchema, PlannedInput, TransformInputs
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.damaged_slices import StoredSlice, rewrites_told, slices_checked
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import DatasetEntry, NewCheckpoint, NewObject, NewSlice
from kamu_assets.engines.engine import (
    EngineContractError,
    InternalError,
    InvalidQuery,
    OnProgress,
    TransformRequest,
    TransformSuccess,
)
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.workers.limits import NoSpaceError
from kamu_assets.odf.chain_errors import NoOpEventError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.dataset import Checkpoint, ExecuteTransform, MetadataEvent, SetDataSchema
from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.errors import StorageFullError
from kamu_assets.storage.layout import block_key, checkpoint_key
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import workplace

_ATTEMPTS = 3
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class TransformOptions:
    """How a transform is run."""

    run_id: str | None = None
    on_progress: OnProgress | None = None
    cancel: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """One block in the making."""

    entry: DatasetEntry
    chain: ChainState
    transform: TransformSql
    inputs: Sequence[PlannedInput]
    system_time: Timestamp
    options: TransformOptions
    # Where the engine leaves what it makes; after a commit the store has taken the files over.
    folder: Path

    @property
    def data(self) -> Path:
        """The new slice."""
        return self.folder / "slice"

    @property
    def checkpoint(self) -> Path:
        """The engine's state after it."""
        return self.folder / "checkpoint"


@dataclass(frozen=True, slots=True)
class _Made:
    """What the engine made."""

    schema: DataSchema
    data: NewSlice | None
    checkpoint: NewCheckpoint | None
    watermark: Timestamp | None
    late_rows: int


class Transforms:
    """Brings derivative datasets up to date."""

    def __init__(
        self,
        *,
        database: Database,
        chains: Chains,
        committer: Committer,
        volumes: Volumes,
        engines: EngineRegistry,
        clock: Clock,
    ) -> None:
        self._database = database
        self._chains = chains
        self._committer = committer
        self._volumes = volumes
        self._engines = engines
        self._clock = clock
        self._inputs = TransformInputs(chains=chains, volumes=volumes)

    def transform(self, entry: DatasetEntry, options: TransformOptions | None = None) -> PullResult:
        """Compute everything new in the inputs, as one block."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(entry, options or TransformOptions())
            except HeadMovedError:
                continue
        return self._attempt(entry, options or TransformOptions())

    def _attempt(self, entry: DatasetEntry, options: TransformOptions) -> PullResult:
        with self._database.reading() as tx:
            chain = self._chains.state(entry.id, tx=tx)
            if chain.transform is None:
                raise TransformNotDefinedError(f"derivative dataset {entry.alias} has no transform")
            inputs = self._inputs.plan(tx, chain, chain.transform)
        if isinstance(inputs, InputsWithoutSchema):
            return UpToDate(waiting_for=inputs.aliases)
        if chain.schema is not None and all(one.plan.nothing_to_do for one in inputs):
            return UpToDate()
        with workplace(self._volumes.staging(entry.kind), "transform") as folder:
            step = _Step(
                entry=entry,
                chain=chain,
                transform=normalize_transform(chain.transform.transform),
                inputs=inputs,
                system_time=next_system_time(self._clock, chain),
                options=options,
                folder=folder,
            )
            return self._commit(step, _check(step, self._run(step)))

    def _run(self, step: _Step) -> TransformSuccess:
        engine = self._engines.get(step.transform.engine)
        options = step.options
        # What is computed from a damaged file would be damage that no hash tells of any more.
        with rewrites_told(self._chains, lambda: _chains_of(step)), slices_checked([*self._read(step)]):
            try:
                answer = engine.transform(self._request(step), on_progress=options.on_progress, cancel=options.cancel)
            except NoSpaceError as error:
                raise StorageFullError(step.folder.parent) from error
            match answer:
                case TransformSuccess():
                    return answer
                case InvalidQuery():
                    raise InvalidTransformQueryError(f"invalid query: {answer.message}")
                case InternalError():
                    raise TransformFailedError(f"the query failed: {answer.message}")

    def _read(self, step: _Step) -> Iterator[StoredSlice]:
        for one in step.inputs:
            yield from self._inputs.slices(one)
        if step.chain.checkpoint:
            yield self._previous(step, step.chain.checkpoint)

    def _previous(self, step: _Step, checkpoint: Checkpoint) -> StoredSlice:
        """The state of the engine after the last step."""
        entry, name = step.entry, checkpoint.physical_hash
        store = self._volumes.for_kind(entry.kind)
        # Blocks after the one that names it came later still.
        block = store.location(block_key(entry.id, step.chain.head)) if step.chain.head else None
        return StoredSlice(entry.alias, name, store.location(checkpoint_key(entry.id, name)), block, "checkpoint")

    def _request(self, step: _Step) -> TransformRequest:
        chain, entry = step.chain, step.entry
        previous = Path(self._previous(step, chain.checkpoint).location) if chain.checkpoint else None
        return TransformRequest(
            dataset_id=entry.id,
            dataset_alias=entry.alias,
            system_time=step.system_time,
            vocab=chain.vocab,
            transform=step.transform,
            query_inputs=tuple(self._inputs.describe(one) for one in step.inputs),
            next_offset=chain.next_offset,
            prev_checkpoint_path=previous,
            new_checkpoint_path=step.checkpoint,
            new_data_path=step.data,
        )

    def _commit(self, step: _Step, made: _Made) -> PullResult:
        first: list[MetadataEvent] = []
        if step.chain.schema is None:
            first.append(SetDataSchema(schema_=made.schema))
        files = [found for found in (made.data, made.checkpoint) if found is not None]
        try:
            update = self._append(step, [*first, _event(step, made)], files)
            return replace(update, late_rows=made.late_rows)
        except NoOpEventError:
            # There is nothing to say about data. What remains is the schema, the first time.
            return self._append(step, first, ()) if first else UpToDate()

    def _append(self, step: _Step, events: Sequence[MetadataEvent], files: Sequence[NewObject]) -> Updated:
        commit = self._committer.commit(
            step.entry.id,
            expected_head=step.chain.head,
            events=events,
            files=files,
            system_time=step.system_time,
            run_id=step.options.run_id,
        )
        return Updated.of(commit)


def _chains_of(step: _Step) -> Iterator[tuple[DatasetEntry, Multihash]]:
    """What is read, and as of which blocks."""
    chains = [(step.entry, step.chain), *((one.dataset.entry, one.dataset.state) for one in step.inputs)]
    return ((entry, chain.head) for entry, chain in chains if chain.head is not None)


def _check(step: _Step, answer: TransformSuccess) -> _Made:
    # It loads Arrow, which this process needs for nothing else.
    from kamu_assets.coordinator.output_schema import fit_output

    checkpoint = _new_checkpoint(step.checkpoint) if step.checkpoint.exists() else None
    known = schema_of(step.chain)
    if answer.schema is None or answer.stats is None:
        if known is None or answer.new_offset_interval is not None:
            raise EngineContractError(f"engine {step.transform.engine!r} did not write a data file")
        return _Made(known, None, checkpoint, answer.new_watermark, answer.late_rows)
    schema = fit_output(answer.schema, known, step.data, name=str(step.entry.alias))
    data = new_slice(answer.stats, step.data) if answer.new_offset_interval is not None else None
    return _Made(schema, data, checkpoint, answer.new_watermark, answer.late_rows)


def _new_checkpoint(path: Path) -> NewCheckpoint:
    digest = hashlib.sha3_256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return NewCheckpoint(path, Multihash(Multicodec.SHA3_256, digest.digest()), path.stat().st_size)


def _event(step: _Step, made: _Made) -> ExecuteTransform:
    chain = step.chain
    return ExecuteTransform(
        query_inputs=tuple(one.plan.query_input for one in step.inputs),
        prev_checkpoint=chain.checkpoint.physical_hash if chain.checkpoint else None,
        prev_offset=chain.last_offset,
        new_data=made.data.data_slice if made.data else None,
        new_checkpoint=made.checkpoint.checkpoint if made.checkpoint else None,
        new_watermark=made.watermark,
    )
