"""What one usually does next, told as remarks: to people who begin, once per dataset."""

from collections.abc import Sequence
from typing import Any

from kamu_api.cli.output import remark
from kamu_api.cli.query.completion_words import quoted_where_needed
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetID

_OWN_ACCOUNT = "kamu/"


def tell_after_adding(node: Node, rows: Sequence[dict[str, Any]]) -> None:
    """How data comes into what was added."""
    caller = node.auth.admin_caller()
    added = [node.datasets.resolve(caller, DatasetID.parse(row["id"])) for row in rows if "id" in row]
    pushed = [entry for entry in added if node.chains.state(entry.id).push_sources]
    pulled = [entry for entry in added if entry not in pushed and _can_be_pulled(node, entry)]
    if pushed:
        names = _written(pushed[0]) if len(pushed) == 1 else "NAME"
        remark(f"`kamu-node ingest {names} FILE` pushes data")
    if pulled:
        remark(f"`kamu-node pull {_written(pulled[0]) if len(pulled) == 1 else '--all'}` brings data")


def tell_after_data(node: Node, entry: DatasetEntry, records: int) -> None:
    """What to do with data, when these are the first records."""
    if not records or node.datasets.summary(node.auth.admin_caller(), entry.id).statistics.records != records:
        return
    name = _written(entry)
    query = f"select * from {quoted_where_needed(name)} limit 10"
    remark(f"`kamu-node sql '{query}'` shows some of it, `kamu-node verify {name}` checks it")


def _can_be_pulled(node: Node, entry: DatasetEntry) -> bool:
    state = node.chains.state(entry.id)
    return state.polling_source is not None or state.transform is not None


def _written(entry: DatasetEntry) -> str:
    return str(entry.alias).removeprefix(_OWN_ACCOUNT)
