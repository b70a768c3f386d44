"""Flows as facts, with the names that their datasets and webhooks have."""

from typing import TYPE_CHECKING, Any

from kamu_api.cli.flows.text import flow_facts
from kamu_api.cli.webhooks.text import dataset_name, delivery_facts
from kamu_assets.errors import NotFoundError

if TYPE_CHECKING:
    from kamu_assets.flows.model import Flow
    from kamu_assets.node import Node


def facts_of(node: "Node", flow: "Flow") -> dict[str, Any]:
    """What a list tells of a flow."""
    return flow_facts(flow, dataset=_dataset(node, flow), webhook=_webhook(node, flow))


def told_by(node: "Node", flow: "Flow") -> list[dict[str, Any]]:
    """What a flow told a receiver last, as far as that is still known."""
    from kamu_assets.flows.scopes import WebhookScope

    if not isinstance(flow.scope, WebhookScope):
        return []
    service, caller = node.webhooks.service, node.auth.admin_caller()
    try:
        found = service.deliveries(caller, flow.scope.subscription_id, flow=flow.id)
    except NotFoundError:
        return []
    return [delivery_facts(each, dataset=dataset_name(node, each.dataset_id)) for each in found]


def _dataset(node: "Node", flow: "Flow") -> str:
    if flow.dataset_id is None:
        return ""
    try:
        return str(node.datasets.resolve(node.auth.admin_caller(), flow.dataset_id).alias)
    except NotFoundError:
        # Deleted since.
        return str(flow.dataset_id)


def _webhook(node: "Node", flow: "Flow") -> dict[str, Any] | None:
    """Who is told, as far as it is still subscribed."""
    from kamu_assets.flows.scopes import WebhookScope

    if not isinstance(flow.scope, WebhookScope):
        return None
    facts: dict[str, Any] = {"id": flow.scope.subscription_id}
    try:
        found = node.webhooks.service.get(node.auth.admin_caller(), flow.scope.subscription_id)
    except NotFoundError:
        return facts
    return facts | {"label": found.label, "targetUrl": found.target_url}
