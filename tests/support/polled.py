"""A root dataset that polls a source, with everything around it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.poll import PollRules
from kamu_assets.coordinator.results import PullResult
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf.data import DataField, DataSchema, Int64Type
from kamu_assets.odf.dataset import AddData, MetadataEvent, SetPollingSource
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import (
    FetchStep,
    MergeStrategy,
    MergeStrategyAppend,
    PrepStep,
    ReadStep,
    ReadStepCsv,
    SourceState,
)
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START
from tests.support.coordination import LOCAL_SERVERS, a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry

NUMBERS = ReadStepCsv(schema_=DataSchema(fields=(DataField(name="n", type=Int64Type()),)))


@dataclass
class Polled:
    """The dataset and what it can be asked."""

    heart: Heart
    base: Path
    entry: DatasetEntry = field(default_factory=lambda: an_entry("numbers"))
    variables: dict[str, str] = field(default_factory=dict)
    rules: PollRules = field(default_factory=lambda: PollRules(egress=LOCAL_SERVERS))
    pool: JobRunner | None = None

    def create(
        self,
        fetch: FetchStep,
        *,
        prepare: tuple[PrepStep, ...] | None = None,
        read: ReadStep = NUMBERS,
        merge: MergeStrategy | None = None,
    ) -> None:
        source = SetPollingSource(fetch=fetch, prepare=prepare, read=read, merge=merge or MergeStrategyAppend())
        self.heart.committer.create(self.entry, [source], system_time=START)

    def pull(self, *, fetch_uncacheable: bool = False) -> PullResult:
        return self._coordinator().pull(ADMIN, self.entry.alias, fetch_uncacheable=fetch_uncacheable)

    @property
    def head(self) -> Multihash | None:
        return self.heart.chains.state(self.entry.id).head

    @property
    def state(self) -> SourceState | None:
        return self.heart.chains.state(self.entry.id).source_state

    @property
    def records(self) -> int:
        return self.heart.chains.state(self.entry.id).next_offset

    @property
    def watermark(self) -> Timestamp | None:
        return self.heart.chains.state(self.entry.id).watermark

    def events(self) -> Sequence[MetadataEvent]:
        return [found.block.event for found in self.heart.chains.blocks(self.entry.id, newest_first=False)]

    def slices(self) -> Sequence[AddData]:
        return [event for event in self.events() if isinstance(event, AddData) and event.new_data is not None]

    def staged(self) -> Sequence[Path]:
        """What unfinished work left behind."""
        return list(self.heart.volumes.staging(self.entry.kind).iterdir())

    def _coordinator(self) -> Coordinator:
        return a_coordinator(self.heart, base=self.base, variables=self.variables, poll=self.rules, pool=self.pool)
