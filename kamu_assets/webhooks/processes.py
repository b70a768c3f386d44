"""How telling receivers is going: one row per subscription, for who may maintain it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Text, and_, literal, select, type_coerce

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import datasets
from kamu_assets.flows.flow_rows import flows, is_live
from kamu_assets.flows.model import FlowState, FlowType
from kamu_assets.flows.processes.listing import Process, ProcessState, Receiver
from kamu_assets.flows.processes.store import processes
from kamu_assets.flows.scopes import WEBHOOK
from kamu_assets.governance.access import Access
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.webhooks.model import Subscription, SubscriptionStatus
from kamu_assets.webhooks.permits import Permits
from kamu_assets.webhooks.store import subscriptions

_SCOPE = literal(WEBHOOK) + subscriptions.c.id
_TYPE = FlowType.WEBHOOK_DELIVER.value
_SEVERITY = list(ProcessState)
_GOES = (ProcessState.ACTIVE, ProcessState.FAILING)


class ReceiverProcesses:
    """Reads the rows; nothing keeps them but what happens to flows and subscriptions itself."""

    def __init__(self, database: Database, *, access: Access, stop_after: int) -> None:
        self._database = database
        self._permits = Permits(access)
        self._stop_after = stop_after

    def list(self, caller: Caller, *, states: Collection[ProcessState] = ()) -> Sequence[Process]:
        """What deserves attention first, else in the order of their making; of some states only."""
        with self._database.reading() as tx:
            seen = {each.id: each for each in self._permits.list(tx, caller, None)}
            found = [self._process(seen[row.id], row) for row in _rows(tx) if row.id in seen]
        wanted = [each for each in found if not states or each.state in states]
        return sorted(wanted, key=lambda each: _SEVERITY.index(each.state))

    def rollup(self, caller: Caller) -> Mapping[ProcessState, int]:
        """How many there are in each state."""
        counts = Counter(each.state for each in self.list(caller))
        return {state: counts[state] for state in ProcessState}

    def _process(self, subscription: Subscription, row: Row[Any]) -> Process:
        state = _state(subscription)
        waits = row.flow_state in (FlowState.WAITING.value, FlowState.RETRYING.value)
        since = subscription.status_since
        return Process(
            dataset_id=subscription.dataset_id,
            alias=None if row.name is None else DatasetAlias(row.account, row.name),
            type=FlowType.WEBHOOK_DELIVER,
            state=state,
            consecutive_failures=subscription.consecutive_failures,
            stop_after=self._stop_after,
            last_success_at=row.last_success_at,
            last_attempt_at=row.last_attempt_at,
            last_failure_at=row.last_failure_at,
            next_planned_at=row.scheduled_at if waits and state in _GOES else None,
            running_since=row.started_at,
            paused_at=since if state is ProcessState.PAUSED_MANUAL else None,
            stopped_at=since if state is ProcessState.STOPPED_AUTO else None,
            stop_reason=subscription.stop_reason,
            webhook=Receiver(subscription.id, subscription.name),
        )


def _rows(tx: Transaction) -> Sequence[Row[Any]]:
    ours = and_(type_coerce(processes.c.scope, Text) == _SCOPE, processes.c.type == _TYPE)
    live = and_(type_coerce(flows.c.scope, Text) == _SCOPE, flows.c.type == _TYPE, is_live)
    about = subscriptions.outerjoin(datasets, datasets.c.id == subscriptions.c.dataset_id)
    query = select(
        subscriptions.c.id,
        datasets.c.account,
        datasets.c.name,
        processes.c.last_success_at,
        processes.c.last_attempt_at,
        processes.c.last_failure_at,
        flows.c.state.label("flow_state"),
        flows.c.scheduled_at,
        flows.c.started_at,
    ).select_from(about.outerjoin(processes, ours).outerjoin(flows, live))
    return tx.execute(query.order_by(subscriptions.c.number)).all()


def _state(subscription: Subscription) -> ProcessState:
    match subscription.status:
        case SubscriptionStatus.UNREACHABLE:
            return ProcessState.STOPPED_AUTO
        case SubscriptionStatus.PAUSED:
            return ProcessState.PAUSED_MANUAL
        case SubscriptionStatus.UNVERIFIED | SubscriptionStatus.REMOVED:
            return ProcessState.UNCONFIGURED
        case SubscriptionStatus.ENABLED:
            return ProcessState.FAILING if subscription.consecutive_failures else ProcessState.ACTIVE
