"""Use cases of triggers: set, pause, resume, remove."""

from collections.abc import Sequence
from dataclasses import replace

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.model import Binding, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.preconditions import Preconditions
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.service import updating
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import PlannedTrigger, Trigger, TriggerRule
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.flows.triggers.timing import check_rule, check_stop_policy, check_type
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef

PAUSED = "its trigger was paused"
REMOVED = "its trigger was removed"


class TriggerService:
    """The rules that start flows, as callers use them; works with or without a running scheduler."""

    def __init__(
        self,
        *,
        database: Database,
        datasets: Datasets,
        access: Access,
        clock: Clock,
        life: FlowLife,
        chains: Chains,
    ) -> None:
        self._preconditions = Preconditions(chains)
        self._clock = clock
        self._processes = ProcessStore()
        self._database = database
        self._datasets = datasets
        self._access = access
        self._life = life
        self._flows = FlowStore()
        self._triggers = TriggerStore()

    def set(
        self,
        caller: Caller,
        dataset: DatasetRef,
        rule: TriggerRule,
        *,
        stop_after: int | None = None,
        type_: FlowType | None = None,
    ) -> PlannedTrigger:
        """Start flows of a type (without one: updates) by a rule from now on; replaces the rule there was."""
        check_rule(rule)
        check_stop_policy(stop_after)
        entry = self._datasets.resolve(caller, dataset)
        binding = _binding(entry, type_)
        check_type(rule, binding.type)
        with self._database.transaction() as tx:
            self._begin(tx, caller, entry, binding)
            self._preconditions.check(entry, binding.type)
            return self._go_on(tx, Trigger(entry.id, binding.type, rule, stop_after))

    def pause(self, caller: Caller, dataset: DatasetRef, *, type_: FlowType | None = None) -> PlannedTrigger | None:
        """Keep the rule and start nothing; what waits by it is aborted. None where there is no rule."""
        entry = self._datasets.resolve(caller, dataset)
        binding = _binding(entry, type_)
        with self._database.transaction() as tx:
            self._begin(tx, caller, entry, binding)
            trigger = self._triggers.in_force(tx, binding)
            if trigger is None:
                return None
            paused = replace(trigger, paused_at=trigger.paused_at or self._clock.now())
            self._put(tx, paused)
            self._drop(tx, binding, PAUSED)
            return PlannedTrigger(paused, None)

    def resume(self, caller: Caller, dataset: DatasetRef, *, type_: FlowType | None = None) -> PlannedTrigger | None:
        """Go on with a paused or stopped rule. None where there is none."""
        entry = self._datasets.resolve(caller, dataset)
        binding = _binding(entry, type_)
        with self._database.transaction() as tx:
            self._begin(tx, caller, entry, binding)
            trigger = self._triggers.find(tx, binding)
            return None if trigger is None else self._go_on(tx, trigger)

    def remove(self, caller: Caller, dataset: DatasetRef, *, type_: FlowType | None = None) -> None:
        """Forget the rule, and what waits by it."""
        entry = self._datasets.resolve(caller, dataset)
        binding = _binding(entry, type_)
        with self._database.transaction() as tx:
            self._begin(tx, caller, entry, binding)
            self._triggers.remove(tx, binding)
            self._drop(tx, binding, REMOVED)
            self._life.tell_of_rule(tx, entry.id)

    def list(self, caller: Caller) -> Sequence[PlannedTrigger]:
        """Every trigger, soonest first, those that wait for nothing last."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            starts = self._flows.starts(tx)
            set_ = self._triggers.list(tx)
            found = [PlannedTrigger(each, None if each.paused else starts.get(each.binding)) for each in set_]
        return sorted(found, key=lambda each: each.next_due.ns if each.next_due else float("inf"))

    def _begin(self, tx: Transaction, caller: Caller, entry: DatasetEntry, binding: Binding) -> None:
        """Be the only one who changes the rule. Rows are taken in the order of who ends flows: the flow's first."""
        self._access.require(tx, caller, entry, Action.WRITE)
        tx.lock(f"trigger {binding.scope} {binding.type}")
        self._flows.live(tx, binding)

    def _go_on(self, tx: Transaction, trigger: Trigger) -> PlannedTrigger:
        """Whatever stopped it is forgotten."""
        binding = trigger.binding
        self._processes.save(tx, binding, replace(self._processes.get(tx, binding), consecutive_failures=0))
        self._put(tx, replace(trigger, paused_at=None, stopped_at=None, stop_reason=None))
        known = self._flows.live(tx, binding)
        self._life.plan_next(tx, binding)
        live = self._flows.live(tx, binding)
        planned = None
        if live is not None and live.state is not FlowState.RUNNING:
            # What waited already may have been planned by another rule; what is tried again has its time.
            replanned = known is not None and live.state is FlowState.WAITING
            planned = (self._life.replan(tx, live) if replanned else live).scheduled_at
        current = self._triggers.find(tx, binding)
        return PlannedTrigger(current or trigger, planned)

    def _put(self, tx: Transaction, trigger: Trigger) -> None:
        self._triggers.set(tx, trigger)
        self._life.tell_of_rule(tx, trigger.dataset_id)

    def _drop(self, tx: Transaction, binding: Binding, reason: str) -> None:
        live = self._flows.live(tx, binding)
        if live is not None and live.state is not FlowState.RUNNING:
            self._life.end(tx, live, FlowOutcome(OutcomeKind.ABORTED, reason))


def _binding(entry: DatasetEntry, type_: FlowType | None) -> Binding:
    return Binding(entry.id, type_) if type_ is not None else updating(entry)
