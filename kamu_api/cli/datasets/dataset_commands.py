"""Datasets themselves: list, adopt."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kamu_api.cli.options import AsJson, Home, SomeNames, local_node
from kamu_api.cli.output import (
    has_room,
    print_csv,
    print_json,
    print_rows,
    progress_bar,
    remark,
    say,
    size_text,
    time_text,
    warn,
)

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetSummary

# Columns that a terminal needs for the watermark beside the others.
_WIDE = 110
_FACTS = ("id", "name", "account", "kind", "head", "blocks", "records", "size", "watermark", "updated")


def register(app: typer.Typer) -> None:
    app.command("list")(list_datasets)
    app.command()(adopt)


def list_datasets(
    datasets: SomeNames = None,
    wide: Annotated[bool, typer.Option("--wide", "-w", help="all columns, also where they do not fit")] = False,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--output-format", "-o", help="for people, or for programs")
    ] = "table",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List all datasets, or some."""
    form = "json" if as_json else form
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        summaries = node.datasets.summaries(caller)
        if datasets:
            wanted = {entry.id for entry in node.datasets.select(caller, datasets)}
            summaries = [summary for summary in summaries if summary.entry.id in wanted]
    if form == "json":
        print_json([_facts(summary) for summary in summaries])
    elif form == "csv":
        print_csv(_FACTS, [[_facts(summary)[name] for name in _FACTS] for summary in summaries])
    elif not summaries:
        remark(f"no datasets in {node.settings.home}; --home or KAMU_NODE_HOME names another node")
    else:
        columns = ("name", "kind", "records", "size", "head", "updated")
        more = ("watermark",) if wide or has_room(_WIDE) else ()
        print_rows([_shown(summary) for summary in summaries], columns=(*columns, *more))


def adopt(
    directory: Annotated[Path, typer.Argument(help="a dataset directory of any ODF software")],
    alias: Annotated[str | None, typer.Option("--alias", help="how to call it; default: its info/alias")] = None,
    skip_rows: Annotated[
        bool, typer.Option("--skip-rows", help="believe what blocks say of rows: faster, for directories you trust")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take in a dataset directory, in place if it lies in this node's datasets; everything is checked first."""
    from kamu_api.cli.datasets.adopting import adopt_directory

    with local_node(home) as node, progress_bar(f"checking {directory.name}", quiet=as_json) as progress:
        entry = adopt_directory(node, directory, alias, progress=progress, reads_rows=not skip_rows)
    if as_json:
        print_json({"id": str(entry.id), "dataset": str(entry.alias), "result": "adopted", "rowsRead": not skip_rows})
    else:
        say(f"Adopted: {entry.alias} ({entry.id})")
    if skip_rows:
        warn(f"nobody compared the rows of {entry.alias} with its blocks; `kamu-node verify {entry.alias}` does")


def _facts(summary: "DatasetSummary") -> dict[str, Any]:
    entry, sums = summary.entry, summary.statistics
    return {
        "id": str(entry.id),
        "name": str(entry.name),
        "account": str(entry.account),
        "kind": entry.kind.value,
        "head": str(summary.head),
        "blocks": sums.blocks,
        "records": sums.records,
        "size": sums.data_size + sums.checkpoints_size,
        "watermark": None if sums.watermark is None else str(sums.watermark),
        "updated": None if sums.updated_at is None else str(sums.updated_at),
    }


def _shown(summary: "DatasetSummary") -> dict[str, Any]:
    facts = _facts(summary)
    own = facts["account"] == "kamu"
    return {
        "name": facts["name"] if own else f"{facts['account']}/{facts['name']}",
        "kind": facts["kind"],
        "records": f"{facts['records']:,}",
        "size": size_text(facts["size"]),
        "head": summary.head.short,
        "updated": time_text(facts["updated"]),
        "watermark": time_text(facts["watermark"]),
    }
