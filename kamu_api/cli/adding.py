"""Adds datasets for the command line: inputs first, a row about each."""

from collections.abc import Sequence
from typing import Any

from kamu_api.cli.failures import failure_text
from kamu_assets.auth.service import ADMIN
from kamu_assets.datasets.errors import NameCollisionError
from kamu_assets.datasets.snapshots import in_order
from kamu_assets.errors import KamuError
from kamu_assets.node import Node
from kamu_assets.odf.dataset import DatasetSnapshot


def add_all(node: Node, snapshots: Sequence[DatasetSnapshot]) -> list[dict[str, Any]]:
    """One row per snapshot; a failure is a row too, so that others go on."""
    return [_add(node, snapshot) for snapshot in in_order(snapshots, ADMIN)]


def added_line(row: dict[str, Any]) -> str:
    """The row for people."""
    if row["result"] == "failed":
        return f"{row['dataset']}: {row['message']}"
    return ": ".join([row["result"].capitalize(), row["dataset"], *([row["message"]] if "message" in row else [])])


def _add(node: Node, snapshot: DatasetSnapshot) -> dict[str, Any]:
    name = str(snapshot.name)
    try:
        entry = node.datasets.create_from_snapshot(node.auth.admin_caller(), snapshot)
    except NameCollisionError:
        return {"dataset": name, "result": "skipped", "message": "Already exists"}
    except KamuError as error:
        return {"dataset": name, "result": "failed", "message": failure_text(error)}
    return {"dataset": name, "result": "added", "id": str(entry.id)}
