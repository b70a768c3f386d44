"""Flows as facts, with the names that their datasets have."""

from typing import TYPE_CHECKING, Any

from kamu_api.cli.flows.text import flow_facts
from kamu_assets.errors import NotFoundError

if TYPE_CHECKING:
    from kamu_assets.flows.model import Flow
    from kamu_assets.node import Node


def facts_of(node: "Node", flow: "Flow") -> dict[str, Any]:
    """What a list tells of a flow."""
    if flow.dataset_id is None:
        return flow_facts(flow, dataset="")
    try:
        name = str(node.datasets.resolve(node.auth.admin_caller(), flow.dataset_id).alias)
    except NotFoundError:
        # Deleted since.
        name = str(flow.dataset_id)
    return flow_facts(flow, dataset=name)
