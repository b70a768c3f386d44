"""What the database of a node knows of its work; the node need not run."""

from collections.abc import Mapping

from kamu_api.cli.node.status_model import (
    ConsumerStatus,
    FailedFlow,
    LeaderStatus,
    StoppedWebhook,
    TransportStatus,
    WorkStatus,
)
from kamu_assets.errors import NotFoundError
from kamu_assets.monitoring.secrets import SecretHider
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.orchestration.scheduler.leader import leader_of
from kamu_assets.settings import Settings, secret_values
from kamu_assets.webhooks.model import SubscriptionStatus

_LATELY_SECONDS = 24 * 3600
_SHOWN_FAILURES = 5


class NoNodeError(NotFoundError):
    def __init__(self, settings: Settings) -> None:
        super().__init__(f"there is no node in {settings.home} yet; `kamu-node up` makes one")


def work_of(settings: Settings) -> WorkStatus:
    """Counts of now; the database is neither made nor changed."""
    if settings.database.url is None and not (settings.home / "node.db").exists():
        raise NoNodeError(settings)
    node = Node(settings)
    try:
        node.database.require_current()
        return _work(node, SecretHider(secret_values(settings)))
    finally:
        node.close()


def _work(node: Node, hider: SecretHider) -> WorkStatus:
    caller = node.auth.admin_caller()
    names = {entry.id: str(entry.alias) for entry in node.datasets.list(caller)}
    load = node.flows.load()
    since = Timestamp(node.clock.now().ns - _LATELY_SECONDS * NANOS_PER_SECOND)
    failed = node.flow_lists.failed_since(caller, since, limit=_SHOWN_FAILURES)
    failures = [
        FailedFlow(
            dataset=names.get(flow.dataset_id, str(flow.scope)) if flow.dataset_id else str(flow.scope),
            finished_at=str(flow.finished_at),
            message=hider.hide(flow.outcome.message or "") if flow.outcome else "",
        )
        for flow in failed.flows
    ]
    return WorkStatus(
        datasets=len(names),
        waiting=load.waiting,
        running=load.running,
        failed=failed.total,
        failures=failures,
        leader=_leader(node),
        transport=_transport(node, hider),
        consumers=consumers_of(node, hider),
        stopped_webhooks=_stopped_webhooks(node, names, hider),
    )


def _leader(node: Node) -> LeaderStatus | None:
    found = leader_of(node.database)
    return None if found is None else LeaderStatus(found.process, str(found.since), found.term, found.leads)


def _stopped_webhooks(node: Node, names: Mapping[DatasetID, str], hider: SecretHider) -> list[StoppedWebhook]:
    found = node.webhooks.service.list(node.auth.admin_caller())
    return [
        StoppedWebhook(
            id=each.id,
            name=hider.hide(each.name),
            dataset=None if each.dataset_id is None else names.get(each.dataset_id, str(each.dataset_id)),
            failures=each.consecutive_failures,
        )
        for each in found
        if each.status is SubscriptionStatus.UNREACHABLE
    ]


def _transport(node: Node, hider: SecretHider) -> TransportStatus:
    with node.database.reading() as tx:
        state = node.outbox.transport_state(tx)
    return TransportStatus(state.name, state.relayed, hider.hide(state.fault) if state.fault else None)


def consumers_of(node: Node, hider: SecretHider) -> list[ConsumerStatus]:
    """Who follows the outbox, by name."""
    with node.database.reading() as tx:
        last, consumers = node.outbox.last(tx), node.outbox.consumers(tx)
    return [
        ConsumerStatus(
            name=one.name,
            position=one.position,
            pending=max(0, last - one.position),
            failures=one.attempts,
            error=hider.hide(one.last_error) if one.last_error else None,
            next_attempt=str(one.next_attempt_at) if one.next_attempt_at else None,
        )
        for one in consumers
    ]
