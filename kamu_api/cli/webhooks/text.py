"""Subscriptions and deliveries for scripts and for people."""

from typing import TYPE_CHECKING, Any

from kamu_api.cli.output import short_text, time_text
from kamu_assets.errors import NotFoundError

if TYPE_CHECKING:
    from kamu_assets.node import Node
    from kamu_assets.odf.identity import DatasetID
    from kamu_assets.odf.timestamp import Timestamp
    from kamu_assets.webhooks.model import Delivery, Subscription

_EVERY = "all datasets"


def subscription_facts(node: "Node", subscription: "Subscription") -> dict[str, Any]:
    """All but the secret."""
    return {
        "id": subscription.id,
        "label": subscription.label,
        "dataset": dataset_name(node, subscription.dataset_id),
        "datasetId": None if subscription.dataset_id is None else str(subscription.dataset_id),
        "targetUrl": subscription.target_url,
        "eventTypes": [each.value for each in subscription.event_types],
        "status": subscription.status.value,
        "statusSince": str(subscription.status_since or subscription.created_at),
        "consecutiveFailures": subscription.consecutive_failures,
        "createdAt": str(subscription.created_at),
    }


def subscription_row(facts: dict[str, Any]) -> dict[str, Any]:
    """A line of a table."""
    return {
        "id": facts["id"],
        "label": facts["label"],
        "dataset": facts["dataset"] or _EVERY,
        "target": facts["targetUrl"],
        "status": facts["status"].lower(),
        "failures": facts["consecutiveFailures"],
    }


def subscription_sentence(facts: dict[str, Any]) -> str:
    """One line about one."""
    label = f" ({facts['label']})" if facts["label"] else ""
    failures = f", {facts['consecutiveFailures']} failed in a row" if facts["consecutiveFailures"] else ""
    about = facts["dataset"] or _EVERY
    return f"{facts['id']}{label}: {about} -> {facts['targetUrl']}, {facts['status'].lower()}{failures}"


def subscription_lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """All about one, by what it is."""
    failures = f", {facts['consecutiveFailures']} failed in a row" if facts["consecutiveFailures"] else ""
    last = facts["lastDelivery"]
    return [
        ("id", facts["id"]),
        *([("label", facts["label"])] if facts["label"] else []),
        ("dataset", facts["dataset"] or _EVERY),
        ("target", facts["targetUrl"]),
        ("events", ", ".join(facts["eventTypes"])),
        ("created", f"{time_text(facts['createdAt'])} UTC"),
        ("status", f"{facts['status'].lower()} since {time_text(facts['statusSince'])} UTC{failures}"),
        ("last", delivery_text(last) if last else "nothing was delivered yet"),
    ]


def delivery_facts(
    delivery: "Delivery", *, dataset: str | None, next_attempt: "Timestamp | None" = None
) -> dict[str, Any]:
    """All of it; `next_attempt` is that of whatever is still to be sent."""
    return {
        "id": delivery.id,
        "eventType": delivery.event_type.value,
        "dataset": dataset,
        "datasetId": None if delivery.dataset_id is None else str(delivery.dataset_id),
        "state": delivery.state.value,
        "attempt": delivery.attempt,
        "flowId": delivery.flow,
        "responseStatus": delivery.response_status,
        "message": delivery.message,
        "oldHash": None if delivery.old_hash is None else str(delivery.old_hash),
        "newHash": None if delivery.new_hash is None else str(delivery.new_hash),
        "isBreakingChange": delivery.is_breaking,
        "createdAt": str(delivery.created_at),
        "nextAttemptAt": str(next_attempt) if next_attempt and delivery.state.is_open else None,
        "finishedAt": None if delivery.finished_at is None else str(delivery.finished_at),
    }


def delivery_row(facts: dict[str, Any]) -> dict[str, Any]:
    """A line of a table."""
    return {
        "id": facts["id"],
        "event": facts["eventType"],
        "dataset": facts["dataset"],
        "created (UTC)": time_text(facts["createdAt"]),
        "state": facts["state"].lower(),
        "flow": facts["flowId"],
        "attempt": facts["attempt"],
        "answer": facts["responseStatus"],
        "next attempt (UTC)": time_text(facts["nextAttemptAt"]),
        "error": short_text(facts["message"] or ""),
    }


def delivery_text(facts: dict[str, Any]) -> str:
    """One line about one, with what it told."""
    about = f" of {facts['dataset']}" if facts["dataset"] else ""
    head = f", head {facts['newHash']}" if facts["newHash"] else ""
    answered = f"the target answered {facts['responseStatus']}" if facts["responseStatus"] else ""
    parts = (facts["state"].lower(), facts["message"] or answered, facts["attempt"] and f"attempt {facts['attempt']}")
    return f"message {facts['id']}{about}{head}: {', '.join(part for part in parts if part)}"


def dataset_name(node: "Node", dataset: "DatasetID | None") -> str | None:
    if dataset is None:
        return None
    try:
        return str(node.datasets.resolve(node.auth.admin_caller(), dataset).alias)
    except NotFoundError:
        # Deleted a moment ago.
        return str(dataset)
