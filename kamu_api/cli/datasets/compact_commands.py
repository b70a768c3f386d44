"""Datasets get fewer and larger slices."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.options import AsJson, Home, Names, local_node
from kamu_api.cli.output import ProgressLine, complain, print_json, progress_bar, say

if TYPE_CHECKING:
    from kamu_assets.coordinator.compaction_plan import CompactionLimits
    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.node import Node


def register(app: typer.Typer) -> None:
    app.command()(compact)


def compact(
    *,
    context: typer.Context,
    datasets: Names,
    max_slice_size: Annotated[
        int, typer.Option("--max-slice-size", metavar="BYTES", help="slices are not put together beyond this")
    ] = 300_000_000,
    max_slice_records: Annotated[
        int, typer.Option("--max-slice-records", metavar="ROWS", help="nor beyond so many rows")
    ] = 10_000,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put small slices of root datasets together; what is computed from them has to be reset, which `pull` can do."""
    from kamu_assets.coordinator.compaction_plan import CompactionLimits

    limits = CompactionLimits(max_slice_size=max_slice_size, max_slice_records=max_slice_records)
    with local_node(home) as node:
        entries = node.datasets.select(node.auth.admin_caller(), datasets)
        require_consent(context, entries, yes=yes, verb="compact", done="compacted")
        rows = []
        for entry in entries:
            with progress_bar(f"compacting {entry.alias}", quiet=as_json) as progress:
                rows.append(_compacted(node, entry, limits, progress))
            if not as_json:
                (complain if rows[-1]["result"] == "failed" else say)(_line(rows[-1]))
    if as_json:
        print_json(rows)
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def _compacted(
    node: "Node", entry: "DatasetEntry", limits: "CompactionLimits", progress: ProgressLine
) -> dict[str, Any]:
    """What became of one; a failure is a row too, so that others go on."""
    from kamu_api.cli.datasets.reset_commands import reorganization_facts
    from kamu_api.cli.failures import failure_text
    from kamu_assets.coordinator.compacting import CompactOptions
    from kamu_assets.errors import KamuError

    def tell(done: int, total: int) -> None:
        progress.update(done=done, total=total, note=f"{done:,} of {total:,} records")

    try:
        result = node.reorganization.compact(
            node.auth.admin_caller(), entry.id, CompactOptions(limits=limits, on_rows=tell)
        )
    except KamuError as error:
        return {"dataset": str(entry.alias), "result": "failed", "message": failure_text(error)}
    return {"dataset": str(entry.alias), **reorganization_facts(result, done="compacted")}


def _line(row: dict[str, Any]) -> str:
    match row["result"]:
        case "failed":
            return f"{row['dataset']}: {row['message']}"
        case "compacted":
            return f"{row['dataset']}: {row['originalBlocks']:,} block(s) are {row['resultingBlocks']:,} now"
        case _:
            return f"{row['dataset']}: nothing to do"
