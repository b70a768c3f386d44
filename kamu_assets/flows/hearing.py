"""What messages mean for flows: new data runs derivatives, deleted datasets run nothing any more."""

from kamu_assets.database.messages import Message
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.lineage import Lineage
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetUpdated
from kamu_assets.datasets.references import References
from kamu_assets.datasets.statistics import StatisticsStore
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.backlog import Backlog
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.config_store import ConfigStore
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.messages import TriggerChanged
from kamu_assets.flows.model import Binding
from kamu_assets.flows.process_store import ProcessStore
from kamu_assets.flows.rules import Reactive
from kamu_assets.flows.service import updating
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.trigger_store import TriggerStore
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
            case DatasetUpdated() if not _DATA_EVENTS.isdisjoint(message.event_kinds):
                self._want_dependents(tx, message)
            case TriggerChanged():
                self._catch_up(tx, message.dataset_id)
            case DatasetDeleted():
                self._forget(tx, message.dataset_id)

    def _want_dependents(self, tx: Transaction, update: DatasetUpdated) -> None:
        dependents = self._lineage.dependents(tx, update.dataset_id)
        if not dependents:
            return
        cause = self._cause(tx, update)
        for entry in self._entries.get_many(tx, dependents):
            if self._reacts(tx, updating(entry)):
                self._life.want(tx, updating(entry), cause)

    def _reacts(self, tx: Transaction, binding: Binding) -> bool:
        trigger = self._triggers.in_force(tx, binding)
        return trigger is not None and not trigger.paused and isinstance(trigger.rule, Reactive)

    def _catch_up(self, tx: Transaction, dataset: DatasetID) -> None:
        """What came while a derivative did not react is found now that it does."""
        entry = self._entries.find(tx, dataset)
        if entry is None or not self._reacts(tx, updating(entry)):
            return
        if self._flows.live(tx, updating(entry)) is None:
            for input_, records in self._backlog.of(dataset).items():
                self._life.want(tx, updating(entry), self._found(tx, input_, records))

    def _cause(self, tx: Transaction, update: DatasetUpdated) -> FlowCause:
        made_by = self._flows.by_run(tx, update.run_id) if update.run_id else ()
        flow = next((flow.id for flow in made_by if flow.dataset_id == update.dataset_id), None)
        return FlowCause(
            CauseKind.INPUT_UPDATED,
            input=update.dataset_id,
            source=UpdateSource.COMMIT if flow is None else UpdateSource.UPSTREAM_FLOW,
            flow=flow,
            head=update.new_head,
            records=update.new_records,
        )

    def _want_first_run(self, tx: Transaction, message: DatasetCreated) -> None:
        """A derivative over inputs that have data need not wait until they change."""
        entry = self._entries.find(tx, message.dataset_id)
        if entry is None or not self._reacts(tx, updating(entry)):
            return
        for one in message.inputs:
            if records := self._statistics.get(tx, one).records:
                self._life.want(tx, updating(entry), self._found(tx, one, records))

    def _found(self, tx: Transaction, dataset: DatasetID, records: int) -> FlowCause:
        return FlowCause(
            CauseKind.INPUT_UPDATED,
            input=dataset,
            source=UpdateSource.FOUND,
            head=self._references.head(tx, dataset),
            records=records,
        )

    def _forget(self, tx: Transaction, dataset: DatasetID) -> None:
        self._triggers.forget(tx, dataset)
        self._life.forget(tx, self._flows.live_of(tx, dataset), DELETED)
        self._processes.remove(tx, dataset)
        self._configs.forget(tx, dataset)
