"""Files that nothing leads to any more go."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, SomeNames, local_node
from kamu_api.cli.output import ProgressLine, complain, print_json, progress_bar, remark, say, size_text

if TYPE_CHECKING:
    from kamu_assets.coordinator.garbage import Collected
    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.node import Node

_SHOWN = 5


def register(app: typer.Typer) -> None:
    app.command()(gc)


def gc(
    *,
    context: typer.Context,
    datasets: SomeNames = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="all datasets of the node")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="INTERVAL", help="keep what was written or replaced since: 0s, 1h, 1d12h")
    ] = "1d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell what would go")] = False,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove files that resets, compactions and failed writes left, once nobody needs them any more."""
    from kamu_api.cli.flows.trigger_text import parse_interval

    if bool(datasets) == all_:
        raise MisuseError("name datasets, or use --all")
    seconds = parse_interval(grace)
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        entries = node.datasets.list(caller) if all_ else node.datasets.select(caller, datasets or ())
        if not dry_run:
            require_consent(context, entries, yes=yes, verb="collect garbage of", done="collected")
        rows = []
        for entry in entries:
            with progress_bar(f"collecting garbage of {entry.alias}", quiet=as_json) as progress:
                rows.append(_collected(node, entry, seconds, progress, dry_run=dry_run))
            if not as_json:
                _tell(rows[-1])
    if as_json:
        print_json(rows)
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def _collected(
    node: "Node", entry: "DatasetEntry", seconds: int, progress: ProgressLine, *, dry_run: bool
) -> dict[str, Any]:
    """What became of one; a failure is a row too, so that others go on."""
    from kamu_api.cli.failures import failure_text
    from kamu_assets.coordinator.garbage import CollectOptions
    from kamu_assets.errors import KamuError

    def tell(done: int, total: int) -> None:
        progress.update(done=done, total=total, note=f"{done:,} of {total:,} files")

    options = CollectOptions(grace_seconds=seconds, dry_run=dry_run, on_files=tell)
    try:
        found = node.garbage.collect(node.auth.admin_caller(), entry.id, options)
    except KamuError as error:
        return {"dataset": str(entry.alias), "result": "failed", "message": failure_text(error)}
    return {"dataset": str(entry.alias), **_facts(found, dry_run=dry_run)}


def _facts(found: "Collected", *, dry_run: bool) -> dict[str, Any]:
    result = "would-collect" if dry_run else "collected"
    return {
        "result": "busy" if found.is_busy else result if found.removed else "nothing-to-do",
        "files": found.removed,
        "bytes": found.removed_bytes,
        "keptFiles": found.kept,
        "keptBytes": found.kept_bytes,
        "foreign": list(found.foreign),
    }


def _tell(row: dict[str, Any]) -> None:
    name = row["dataset"]
    if row["result"] == "failed":
        complain(f"{name}: {row['message']}")
        return
    what = f"{row['files']:,} file(s), {size_text(row['bytes'])}"
    match row["result"]:
        case "busy":
            say(f"{name}: removed {what}; it is being written all the time, the rest goes next time")
        case "collected":
            say(f"{name}: removed {what}")
        case "would-collect":
            say(f"{name}: would remove {what}")
        case _:
            say(f"{name}: nothing to remove")
    if row["keptFiles"]:
        remark(f"{name}: {row['keptFiles']:,} file(s), {size_text(row['keptBytes'])}, are kept for the grace time")
    if row["foreign"]:
        more = f" and {len(row['foreign']) - _SHOWN} more" if len(row["foreign"]) > _SHOWN else ""
        remark(f"{name}: left what is not the node's: {', '.join(row['foreign'][:_SHOWN])}{more}")
