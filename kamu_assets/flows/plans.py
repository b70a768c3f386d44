"""Flows that wait: made, joined by further causes, and given their time."""

from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom

from kamu_assets.clock import Clock
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.causes import MANUAL_KINDS, CauseKind, FlowCause, merged
from kamu_assets.flows.configs.store import ConfigStore
from kamu_assets.flows.history.events import EventKind, Happening
from kamu_assets.flows.history.store import FlowHistory
from kamu_assets.flows.messages import FlowRequested, TriggerChanged
from kamu_assets.flows.model import Binding, Flow, FlowState
from kamu_assets.flows.planning import Facts, FlowRules, plan
from kamu_assets.flows.priorities import priority
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.receivers import Receivers
from kamu_assets.flows.retrying import ARGUMENTS, FlowConfig
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import Trigger
from kamu_assets.flows.triggers.store import TriggerStore
from kamu_assets.odf.identity import DatasetID

some_chance = SystemRandom().random


class FlowPlans:
    """Each step takes the transaction, changes the rows and tells the history."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        clock: Clock,
        rules: FlowRules,
        receivers: Receivers,
        chance: Callable[[], float] = some_chance,
    ) -> None:
        self._outbox = outbox
        self._receivers = receivers
        self._clock = clock
        self.rules = rules
        self._chance = chance
        self._configs = ConfigStore()
        self._flows = FlowStore()
        self._history = FlowHistory()
        self._triggers = TriggerStore()
        self._processes = ProcessStore()
        self._references = References()
        self._entries = DatasetStore()

    def want(self, tx: Transaction, binding: Binding, cause: FlowCause) -> Flow:
        """Have a live flow of the binding with this cause: a new one, or the one there is."""
        cause = replace(cause, at=cause.at or self.rules.step_of(self._clock.now()))
        known = self._flows.live(tx, binding)
        if known is None:
            new = self._flows.add(tx, self._new(tx, binding, (cause,)))
            if new is not None:
                return self._born(tx, new)
            # Somebody else was faster, and has committed.
            known = self._flows.live(tx, binding)
            if known is None:
                return self.want(tx, binding, cause)
        return self._join(tx, known, cause)

    def _new(self, tx: Transaction, binding: Binding, causes: tuple[FlowCause, ...]) -> Flow:
        return Flow(
            id=0,
            scope=binding.scope,
            type=binding.type,
            causes=causes,
            state=FlowState.WAITING,
            created_at=self.rules.step_of(self._clock.now()),
            config=self._config(tx, binding),
        )

    def _config(self, tx: Transaction, binding: Binding) -> FlowConfig:
        config = self._configs.find(tx, binding) or FlowConfig()
        return config if config.retry else replace(config, retry=self.rules.retries.get(binding.type))

    def _born(self, tx: Transaction, flow: Flow) -> Flow:
        self._note(tx, flow, EventKind.INITIATED, Happening(cause=flow.cause))
        for cause in flow.causes[1:]:
            self._note(tx, flow, EventKind.CAUSE_ADDED, Happening(cause=cause))
        return self.replan(tx, flow)

    def _join(self, tx: Transaction, flow: Flow, cause: FlowCause) -> Flow:
        runs = flow.state is FlowState.RUNNING
        hurried = flow.state is FlowState.RETRYING and cause.kind in MANUAL_KINDS
        causes = merged(flow.late_causes if runs else flow.causes, cause)
        if causes is None or (runs and cause.kind is CauseKind.AUTO_POLLING):
            return self.replan(tx, flow) if hurried else flow
        self._note(tx, flow, EventKind.CAUSE_ADDED, Happening(cause=cause))
        if runs:
            return self._saved(tx, replace(flow, late_causes=tuple(causes)))
        flow = replace(flow, causes=tuple(causes))
        # Who waits for a retry has its time.
        waits = flow.state is FlowState.RETRYING and not hurried
        return self._saved(tx, flow) if waits else self.replan(tx, flow)

    def configure(self, tx: Transaction, flow: Flow, config: FlowConfig) -> Flow:
        """Replace the arguments that the flow began to wait with, where there are others."""
        given = {name: value for name in ARGUMENTS if (value := getattr(config, name)) is not None}
        changed = replace(flow.config, **given)
        if changed == flow.config:
            return flow
        self._note(tx, flow, EventKind.CONFIG_MODIFIED, Happening(config=changed))
        return self._saved(tx, replace(flow, config=changed))

    def replan(self, tx: Transaction, flow: Flow) -> Flow:
        """Decide anew when a waiting flow starts."""
        record = self._processes.get(tx, flow.binding)
        trigger = self._in_force(tx, flow.binding)
        now = self._clock.now()
        # Also that of this flow, where somebody cannot wait until it is tried again.
        last_attempt = max(filter(None, (record.last_attempt_at, flow.attempt_ended_at)), default=None)
        planned = plan(flow.causes, Facts(now, trigger, last_attempt), self.rules)
        if planned.at == now:
            planned = replace(planned, at=self.rules.step_of(now))
        if planned.condition is not None and planned.condition != flow.condition:
            self._note(tx, flow, EventKind.CONDITION_UPDATED, Happening(condition=planned.condition))
        if planned.at != flow.scheduled_at:
            self._note(tx, flow, EventKind.SCHEDULED, Happening(scheduled_at=planned.at))
        self._outbox.post(tx, FlowRequested(flow_id=str(flow.id), dataset_id=flow.dataset_id, type=flow.type))
        return self._saved(
            tx,
            replace(
                flow,
                condition=planned.condition,
                scheduled_at=planned.at,
                first_scheduled_at=flow.first_scheduled_at or planned.at,
            ),
        )

    def plan_next(self, tx: Transaction, binding: Binding) -> None:
        """Have the flow wait that an active rule of time starts next."""
        trigger = self._triggers.find(tx, binding)
        if trigger is not None and not trigger.paused and trigger.is_timed:
            self.want(tx, binding, FlowCause(CauseKind.AUTO_POLLING))

    def _in_force(self, tx: Transaction, binding: Binding) -> Trigger | None:
        """The rule that starts flows of the binding, whoever keeps it."""
        scope = binding.scope
        return (
            self._receivers.trigger(tx, scope)
            if isinstance(scope, WebhookScope)
            else self._triggers.in_force(tx, binding)
        )

    def hold(self, tx: Transaction, binding: Binding) -> None:
        """Pause an active rule of time: whoever cancels its flow wants no other at once."""
        trigger = self._triggers.find(tx, binding)
        if trigger is not None and trigger.is_timed and not trigger.paused:
            self._triggers.pause(tx, binding, self._clock.now())
            self.tell_of_rule(tx, trigger.dataset_id)

    def tell_of_rule(self, tx: Transaction, dataset: DatasetID) -> None:
        """Whoever cares hears that a dataset has another rule, or none."""
        self._outbox.post(tx, TriggerChanged(dataset_id=dataset))

    def _note(self, tx: Transaction, flow: Flow, kind: EventKind, what: Happening) -> None:
        self._history.note(tx, flow.id, self._clock.now(), kind, what)

    def _saved(self, tx: Transaction, flow: Flow) -> Flow:
        urgency = priority(flow.causes, flow.config.priority, is_maintenance=flow.type.is_maintenance)
        flow = replace(flow, priority=urgency)
        self._flows.save(tx, flow)
        return flow
