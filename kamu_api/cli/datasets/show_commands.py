"""Looking at datasets one by one."""

from typing import TYPE_CHECKING, Any

import typer

from kamu_api.cli.options import AsJson, Home, Names, local_node
from kamu_api.cli.output import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.node import Node


def register(app: typer.Typer) -> None:
    app.command()(show)


def show(datasets: Names, home: Home = None, as_json: AsJson = False) -> None:
    """Describe datasets: identity, source or query, columns, sizes, inputs and readers, trigger and last run.

    `describe` is the same.
    """
    from kamu_api.cli.datasets.describing import description_facts, description_lines

    with local_node(home) as node:
        caller = node.auth.admin_caller()
        entries = node.datasets.select(caller, datasets)
        found = [(node.datasets.describe(caller, each.id), work) for each, work in _with_work(node, entries)]
    if as_json:
        print_json([{**description_facts(each), **work} for each, work in found])
        return
    for number, (each, work) in enumerate(found):
        if number:
            say("")
        for line in description_lines(each, work):
            say(line)


def _with_work(node: "Node", entries: "Sequence[DatasetEntry]") -> "list[tuple[DatasetEntry, dict[str, Any]]]":
    """Each with what is done to it by itself: its trigger, the run that waits or goes on, the last that ended."""
    from kamu_api.cli.flows.trigger_text import live_facts, run_facts, trigger_facts

    caller = node.auth.admin_caller()
    # Of two that of updates is told, not that of compactions.
    found = sorted(node.triggers.list(caller), key=lambda each: each.trigger.type != "HARD_COMPACTION")
    triggers = {each.trigger.dataset_id: trigger_facts(each) for each in found}
    ended = node.flows.latest(caller, [entry.id for entry in entries])
    return [
        (
            entry,
            {
                "trigger": triggers.get(entry.id),
                "currentRun": live_facts(node.flows.live(caller, entry.id)),
                "lastRun": run_facts(ended.get(entry.id)),
            },
        )
        for entry in entries
    ]
