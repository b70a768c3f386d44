"""What messages mean for flows: new data runs derivatives, deleted datasets run nothing any more."""

from dataclasses import replace

from kamu_assets.database.messages import Message
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.statistics import StatisticsStore
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetRewritten, DatasetUpdated
from kamu_assets.datasets.model import RewriteKind
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource, rewrite_found
from kamu_assets.flows.configs.store import ConfigStore
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.messages import TriggerChanged
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.scheduling.backlog import Backlog, InputNews
from kamu_assets.flows.scheduling.changes import cause_of
from kamu_assets.flows.service import updating
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import emptying, recovers
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import DatasetID

# Events that give derivatives something to do: records, or a watermark that moved.
_DATA_EVENTS = frozenset({"AddData", "ExecuteTransform"})
DELETED = "the dataset was deleted"


class Hearing:
    """Handles one message at a time, each in the transaction that it is given."""

    def __init__(self, life: FlowLife, backlog: Backlog) -> None:
        self._life = life
        self._backlog = backlog
        self._flows = FlowStore()
        self._triggers = TriggerStore()
        self._processes = ProcessStore()
        self._configs = ConfigStore()
        self._entries = DatasetStore()
        self._lineage = Lineage()
        self._statistics = StatisticsStore()
        self._references = References()

    def handle(self, tx: Transaction, message: Message) -> None:
        """Requests and outcomes of flows only wake the scheduler: what to submit is read from the rows."""
        match message:
            case DatasetCreated() if message.inputs and not message.records:
                self._want_first_run(tx, message)
            case DatasetUpdated():
                self._updated(tx, message)
            case DatasetRewritten():
                self._rewritten(tx, message)
            case TriggerChanged():
                self._catch_up(tx, message.dataset_id)
            case DatasetDeleted():
                self._forget(tx, message.dataset_id)

    def _updated(self, tx: Transaction, update: DatasetUpdated) -> None:
        if not _DATA_EVENTS.isdisjoint(update.event_kinds):
            self._want_dependents(tx, update)
        if "SetTransform" in update.event_kinds:
            # What it is computed from now may have had data before.
            self._catch_up(tx, update.dataset_id)

    def _want_dependents(self, tx: Transaction, update: DatasetUpdated) -> None:
        dependents = self._lineage.dependents(tx, update.dataset_id)
        if not dependents:
            return
        cause = cause_of(tx, update)
        for entry in self._entries.get_many(tx, dependents):
            if self._triggers.reaction(tx, updating(entry)) is not None:
                self._life.want(tx, updating(entry), cause)

    def _rewritten(self, tx: Transaction, rewrite: DatasetRewritten) -> None:
        """Derivatives that were computed from what is gone start anew, where their rules say so."""
        cause = cause_of(tx, rewrite)
        for entry in self._entries.get_many(tx, self._lineage.dependents(tx, rewrite.dataset_id)):
            rule = self._triggers.reaction(tx, updating(entry))
            if recovers(rule) and self._backlog.has_read(tx, entry.id, rewrite.dataset_id):
                self._life.want(tx, emptying(entry.id), cause)
        if rewrite.how is RewriteKind.METADATA_ONLY:
            self._compute_anew(tx, rewrite.dataset_id)

    def _compute_anew(self, tx: Transaction, dataset: DatasetID) -> None:
        """All rows are gone: nobody waits for a batch."""
        entry = self._entries.find(tx, dataset)
        if entry is not None and self._triggers.reaction(tx, updating(entry)) is not None:
            for news in self._backlog.of(tx, dataset):
                self._life.want(tx, updating(entry), replace(_found(news), breaking=True))

    def _catch_up(self, tx: Transaction, dataset: DatasetID) -> None:
        """What came while a derivative did not react is found now that it does."""
        entry = self._entries.find(tx, dataset)
        rule = self._triggers.reaction(tx, updating(entry)) if entry else None
        if entry is None or rule is None:
            return
        all_news = self._backlog.of(tx, dataset)
        if recovers(rule) and any(news.rewritten for news in all_news):
            for news in all_news:
                if news.rewritten:
                    self._life.want(tx, emptying(dataset), rewrite_found(news.input))
        elif self._flows.live(tx, updating(entry)) is None:
            for news in all_news:
                if news.is_any:
                    self._life.want(tx, updating(entry), _found(news))

    def _want_first_run(self, tx: Transaction, message: DatasetCreated) -> None:
        """A derivative over inputs that have data need not wait until they change."""
        entry = self._entries.find(tx, message.dataset_id)
        if entry is None or self._triggers.reaction(tx, updating(entry)) is None:
            return
        for one in message.inputs:
            if records := self._statistics.get(tx, one).records:
                self._life.want(tx, updating(entry), _found(InputNews(one, self._references.head(tx, one), records)))

    def _forget(self, tx: Transaction, dataset: DatasetID) -> None:
        self._triggers.forget(tx, dataset)
        self._life.forget(tx, self._flows.live_of(tx, dataset), DELETED)
        self._processes.remove(tx, dataset)
        self._configs.forget(tx, dataset)


def _found(news: InputNews) -> FlowCause:
    return FlowCause(
        CauseKind.INPUT_UPDATED,
        input=news.input,
        source=UpdateSource.FOUND,
        head=news.head,
        records=news.records,
        watermark_moved=news.watermark_moved,
    )
