"""Tells Dagster of data that no run brought: pushes, commands, commits whose run died before it could say so."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog
from dagster import AssetKey, AssetMaterialization, DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import StepMaterializationData
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.messages import DatasetCreated, DatasetRenamed, DatasetRewritten, DatasetUpdated
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.flows.messages import FlowFinished
from kamu_assets.flows.model import OutcomeKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.names import METADATA_DATASET_ID, METADATA_HEAD, key_of
from kamu_assets.orchestration.reports.following import follow
from kamu_assets.orchestration.reports.materialization import Materializations

log = structlog.get_logger(__name__)

CONSUMER = "reporter"
# Pushes that come faster are told of together.
SECONDS_BETWEEN = 0.5
# Whoever is at work for so long tells what there is.
TURNS_WAITED_FOR, TURN_SECONDS = 50, 0.2
# How far back to look for a commit that was told of already.
RECENT = 20
# Outcomes of flows whose runs may have committed and told nobody.
_UNTOLD = frozenset({OutcomeKind.FAILED, OutcomeKind.ABORTED})


class Reporter:
    """Reports, per dataset, everything newer than what Dagster knows: repeating it changes nothing."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        database: Database,
        outbox: Outbox,
        chains: Chains,
        materializations: Materializations,
    ) -> None:
        # Called before news of a dataset are told: what happened before them cannot be told after them.
        self.before: Callable[[DatasetID], object] = _nothing
        self._instance = instance
        self._database = database
        self._outbox = outbox
        self._chains = chains
        self._materializations = materializations
        self._entries = DatasetStore()
        self._index = BlockIndex()
        # Between asking what Dagster knows and telling it more, nobody else may tell it the same.
        self._telling = threading.Lock()

    def step(self) -> bool:
        """Report what the outbox told of; tells whether there was anything."""
        return follow(CONSUMER, self._report_news, outbox=self._outbox, database=self._database)

    def _report_news(self, messages: Sequence[Message]) -> None:
        newest: dict[DatasetID, Multihash | None] = {}
        # The newest first: that is what people look at when many are waiting.
        for dataset, until in self._unreported(reversed(messages)):
            newest.setdefault(dataset, until)
        for dataset, until in newest.items():
            try:
                self.report(dataset, until=until)
            except KamuError as error:
                # One damaged dataset must not keep the others from being reported.
                log.warning("dataset_not_reported", dataset=str(dataset), reason=str(error))

    def catch_up(self, dataset: DatasetID) -> bool:
        """The same from another process than the consumer's, in turns with it; False if it is at work all the time."""
        for _ in range(TURNS_WAITED_FOR):
            with self._outbox.turn(CONSUMER) as is_ours:
                if is_ours:
                    return self.report(dataset)
            time.sleep(TURN_SECONDS)
        return False

    def report(self, dataset: DatasetID, *, until: Multihash | None = None, at: Timestamp | None = None) -> bool:
        """Report the dataset's news up to a head it had, or up to its head now, if there are any.

        Dagster shows them as of `at`, or as of now.
        """
        self.before(dataset)
        with self._telling:
            return self._report(dataset, until, at)

    def _report(self, dataset: DatasetID, until: Multihash | None, at: Timestamp | None) -> bool:
        with self._database.reading() as tx:
            entry = self._entries.find(tx, dataset)
            if entry is None:
                return False
            # A head that is in the chain no more tells only that there are news.
            is_known = until is not None and self._index.sequence_of(tx, dataset, until) is not None
            head = self._chains.head(dataset, tx=tx)
            last = until if until is not None and is_known else head
        told = self._known(key_of(entry.alias), dataset)
        if told and self._newest(dataset, told[:1]) is None:
            return self._report_anew(entry, head, at)
        known = {*told}
        after = self._newest(dataset, known)
        if str(last) in known or self._newest(dataset, {*known, str(last)}) != last:
            return False
        interval = self._chains.interval(dataset, after=after, until=last)
        if not interval.slices and not interval.watermarks:
            return False
        said = self._materializations.describe(dataset, after=after, until=last)
        metadata = dict(said.metadata)
        if last != head and interval.slices:
            # The registry has the sums of now, not of then.
            metadata["dagster/row_count"] = interval.slices[-1].offset_interval.end + 1
            metadata.pop("bytes", None)
        tags = {**said.inputs, DATA_VERSION_TAG: said.data_version.value}
        self._tell(AssetMaterialization(key_of(entry.alias), metadata=metadata, tags=tags), at)
        return True

    def _report_anew(self, entry: DatasetEntry, head: Multihash, at: Timestamp | None) -> bool:
        """The chain does not lead on from what Dagster knows: it was reset or compacted. So is what it is now."""
        said = self._materializations.describe(entry.id, after=None, until=head)
        tags = {**said.inputs, DATA_VERSION_TAG: said.data_version.value}
        metadata = {**said.metadata, "records_added": 0}
        self._tell(AssetMaterialization(key_of(entry.alias), metadata=metadata, tags=tags), at)
        return True

    def _tell(self, told: AssetMaterialization, at: Timestamp | None) -> None:
        """What `report_runless_asset_event` does, which cannot tell of the past."""
        event = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
            event_specific_data=StepMaterializationData(told),
            job_name=RUNLESS_JOB_NAME,
        )
        self._instance.report_dagster_event(
            event, run_id=RUNLESS_RUN_ID, log_level=logging.INFO, timestamp=_seconds(at)
        )

    def _unreported(self, messages: Iterable[Message]) -> Iterable[tuple[DatasetID, Multihash | None]]:
        """Datasets with news, and up to where: a run that lives tells of what it commits after that."""
        for message in messages:
            match message:
                case DatasetUpdated() if message.run_id is None or not self._will_tell(message.run_id):
                    yield message.dataset_id, message.new_head
                case DatasetCreated() if message.records:
                    yield message.dataset_id, None
                case DatasetRenamed() | DatasetRewritten():
                    yield message.dataset_id, None
                case FlowFinished(dataset_id=DatasetID() as dataset) if message.outcome in _UNTOLD:
                    # Its run may have ended between its commit and its report.
                    yield dataset, message.head
                case _:
                    continue

    def _will_tell(self, run_id: str) -> bool:
        """Whether the run has told of its commit itself, or is alive and about to."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.status not in {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}

    def _known(self, key: AssetKey, dataset: DatasetID) -> Sequence[str]:
        """Heads of recent materializations, newest first. A dataset of the same name before this one does not count."""
        heads = []
        for record in self._instance.fetch_materializations(key, limit=RECENT).records:
            said = record.asset_materialization
            if said and _text(said, METADATA_DATASET_ID) == str(dataset):
                heads.append(_text(said, METADATA_HEAD))
        return [head for head in heads if head]

    def _newest(self, dataset: DatasetID, heads: Collection[str]) -> Multihash | None:
        with self._database.reading() as tx:
            found = {head: self._index.sequence_of(tx, dataset, Multihash.parse(head)) for head in heads}
        in_chain = {head: sequence for head, sequence in found.items() if sequence is not None}
        return Multihash.parse(max(in_chain, key=in_chain.__getitem__)) if in_chain else None


def _nothing(_dataset: DatasetID) -> None:
    """What there is to do before news where nothing is."""


def _seconds(at: Timestamp | None) -> float | None:
    """Since the Unix epoch; None for times that cannot be: chains come from elsewhere, too."""
    seconds = at.ns / NANOS_PER_SECOND if at is not None else 0
    return seconds if 0 < seconds <= time.time() else None


def _text(said: AssetMaterialization, name: str) -> str | None:
    value = said.metadata.get(name)
    return str(value.value) if value is not None else None
