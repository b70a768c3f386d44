"""Use cases of triggers: set, pause, resume, remove."""

from collections.abc import Sequence
from dataclasses import replace

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.service import Datasets
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.messages import TriggerChanged
from kamu_assets.flows.model import Binding, FlowOutcome, FlowState, OutcomeKind
from kamu_assets.flows.rules import PlannedTrigger, Trigger, TriggerRule
from kamu_assets.flows.service import updating
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.timing import check_rule
from kamu_assets.flows.trigger_store import TriggerStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef

PAUSED = "its trigger was paused"
REMOVED = "its trigger was removed"


class TriggerService:
    """The rules that start flows, as callers use them; works with or without a running scheduler."""

    def __init__(
        self, *, database: Database, outbox: Outbox, datasets: Datasets, access: Access, life: FlowLife
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._datasets = datasets
        self._access = access
        self._life = life
        self._flows = FlowStore()
        self._triggers = TriggerStore()

    def set(self, caller: Caller, dataset: DatasetRef, rule: TriggerRule, *, paused: bool = False) -> PlannedTrigger:
        """Start flows of the dataset by a rule, from now on; replaces the rule it had."""
        check_rule(rule)
        entry = self._datasets.resolve(caller, dataset)
        binding = updating(entry)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            return self._put(tx, Trigger(entry.id, binding.type, rule, paused))

    def pause(self, caller: Caller, dataset: DatasetRef) -> PlannedTrigger | None:
        """Keep the rule and start nothing; what waits by it is aborted. None where there is no rule."""
        return self._change(caller, dataset, paused=True)

    def resume(self, caller: Caller, dataset: DatasetRef) -> PlannedTrigger | None:
        """Go on with a paused rule. None where there is none."""
        return self._change(caller, dataset, paused=False)

    def remove(self, caller: Caller, dataset: DatasetRef) -> None:
        """Forget the rule, and what waits by it."""
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            self._triggers.remove(tx, updating(entry))
            self._drop(tx, updating(entry), REMOVED)
            self._outbox.post(tx, TriggerChanged(dataset_id=entry.id))

    def list(self, caller: Caller) -> Sequence[PlannedTrigger]:
        """Every trigger, soonest first, those that wait for nothing last."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            starts = self._flows.starts(tx)
            found = [PlannedTrigger(each, starts.get(each.binding)) for each in self._triggers.list(tx)]
        return sorted(found, key=lambda each: each.next_due.ns if each.next_due else float("inf"))

    def _change(self, caller: Caller, dataset: DatasetRef, *, paused: bool) -> PlannedTrigger | None:
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            trigger = self._triggers.find(tx, updating(entry))
            return None if trigger is None else self._put(tx, replace(trigger, paused=paused))

    def _put(self, tx: Transaction, trigger: Trigger) -> PlannedTrigger:
        self._triggers.set(tx, trigger)
        self._outbox.post(tx, TriggerChanged(dataset_id=trigger.dataset_id))
        if trigger.paused:
            self._drop(tx, trigger.binding, PAUSED)
            return PlannedTrigger(trigger, None)
        self._life.plan_next(tx, trigger.binding)
        live = self._flows.live(tx, trigger.binding)
        if live is None or live.state is FlowState.RUNNING:
            return PlannedTrigger(trigger, None)
        # It may have been planned by another rule.
        return PlannedTrigger(trigger, self._life.replan(tx, live).scheduled_at)

    def _drop(self, tx: Transaction, binding: Binding, reason: str) -> None:
        live = self._flows.live(tx, binding)
        if live is not None and live.state is not FlowState.RUNNING:
            self._life.end(tx, live, FlowOutcome(OutcomeKind.ABORTED, reason))
