"""Hard compaction: the same rows in fewer slices, behind new blocks (ODF-FACTS 9.5)."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.chain_making import ChainMaking, Remake
from kamu_assets.coordinator.compaction_plan import CompactionLimits, Group, merged_event, plan_groups
from kamu_assets.coordinator.errors import CompactionCancelledError, CompactionOfDerivativeError
from kamu_assets.coordinator.ingest.ingestion import new_slice
from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult
from kamu_assets.coordinator.slice_merging import MergeRequest, SliceToMerge, merge_slices
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import ChainBlock, Chains
from kamu_assets.datasets.errors import ChainReplacedError
from kamu_assets.datasets.model import DatasetEntry, NewSlice, RewriteKind
from kamu_assets.datasets.service import Datasets
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.limits import NoSpaceError, PoolBusyError
from kamu_assets.governance.access import Action
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, MetadataEvent
from kamu_assets.odf.identity import DatasetKind, DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.errors import StorageFullError
from kamu_assets.storage.files import told_plainly
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.volumes import Volumes
from kamu_assets.storage.workplaces import workplace

# Told the rows written and the rows that will be.
OnRows = Callable[[int, int], None]


def _tell_nobody(_: int, __: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class CompactOptions:
    """How far to go, and who listens."""

    limits: CompactionLimits = field(default_factory=CompactionLimits)
    run_id: str | None = None
    on_rows: OnRows = _tell_nobody
    cancel: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What becomes of the blocks behind the Seed, up to the head that was seen."""

    entry: DatasetEntry
    chain: ChainState
    groups: Sequence[Group]

    @property
    def merged(self) -> Sequence[Group]:
        """Those whose rows are written anew."""
        return [group for group in self.groups if len(group.slices) > 1]


@dataclass(frozen=True, slots=True)
class Compactions:
    """The use case."""

    datasets: Datasets
    database: Database
    chains: Chains
    making: ChainMaking
    volumes: Volumes
    pool: JobRunner
    encodings: Encodings

    def compact(self, caller: Caller, dataset: DatasetRef, options: CompactOptions) -> ReorganizationResult:
        """Put slices together; what is committed meanwhile is kept, ChainReplacedError when the chain is rewritten."""
        entry = self.datasets.resolve(caller, dataset, action=Action.MAINTAIN)
        if entry.kind is not DatasetKind.ROOT:
            raise CompactionOfDerivativeError(entry.alias)
        plan = self._plan(entry, options.limits)
        if not any(group.is_merged for group in plan.groups):
            return NothingToDo()
        staging = self.volumes.staging(entry.kind)
        with told_plainly(staging), workplace(staging, "compaction") as folder:
            made = self._write(plan, folder, options)
            events = self._events(plan, made)
            files = tuple(made.values())
            remake = Remake(entry, RewriteKind.COMPACTION, plan.chain, events, files, run_id=options.run_id)
            return self.making.replace(remake)

    def _plan(self, entry: DatasetEntry, limits: CompactionLimits) -> _Plan:
        with self.database.reading() as tx:
            chain = self.chains.state(entry.id, tx=tx)
            blocks = BlockIndex().all(tx, entry.id)
        return _Plan(entry, chain, plan_groups(blocks[1:], limits))

    def _write(self, plan: _Plan, folder: Path, options: CompactOptions) -> Mapping[Multihash, NewSlice]:
        """The new slices, by the block that each begins with."""
        total, done = sum(group.records for group in plan.merged), 0
        made = {}
        for number, group in enumerate(plan.merged):
            before = done

            def tell(rows: int, before: int = before) -> None:
                options.on_rows(before + rows, total)

            target = folder / f"slice-{number}"
            made[group.blocks[0].block_hash] = self._merge(plan, group, target, tell, options.cancel)
            done += group.records
            options.on_rows(done, total)
        return made

    def _merge(
        self,
        plan: _Plan,
        group: Group,
        target: Path,
        on_progress: Callable[[int], None],
        cancel: threading.Event | None,
    ) -> NewSlice:
        volume = self.volumes.for_kind(plan.entry.kind)
        slices = tuple(
            SliceToMerge(volume.location(data_key(plan.entry.id, each.physical_hash)), each.data_slice)
            for each in group.slices
        )
        request = MergeRequest(slices, plan.chain.vocab, target, self.encodings)
        while cancel is None or not cancel.is_set():
            try:
                return new_slice(self.pool.run(merge_slices, request, on_progress=on_progress, cancel=cancel), target)
            except PoolBusyError:
                # Others go first; there is time.
                continue
            except NoSpaceError as error:
                raise StorageFullError(target.parent.parent) from error
        raise CompactionCancelledError

    def _events(self, plan: _Plan, made: Mapping[Multihash, NewSlice]) -> Iterator[MetadataEvent]:
        """What takes the place of the blocks that were seen."""
        blocks = self.chains.blocks(plan.entry.id, newest_first=False, start=1)
        for group in plan.groups:
            found = list(islice(blocks, len(group.blocks)))
            if [each.block_hash for each in found] != [each.block_hash for each in group.blocks]:
                raise ChainReplacedError(plan.entry.id, group.blocks[0].block_hash, self.chains.head(plan.entry.id))
            yield _event(group, found, made)


def _event(group: Group, found: Sequence[ChainBlock], made: Mapping[Multihash, NewSlice]) -> MetadataEvent:
    if not group.is_merged:
        return found[0].block.event
    new = made.get(group.blocks[0].block_hash)
    # A slice that has a group of its own keeps its file.
    data = new.data_slice if new else next((each.data_slice for each in group.slices), None)
    return merged_event([each.block.event for each in found if isinstance(each.block.event, AddData)], data)
