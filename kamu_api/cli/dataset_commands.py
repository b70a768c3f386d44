"""Datasets themselves: list, look into, adopt."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Dataset, Home, local_node
from kamu_api.cli.output import (
    has_room,
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
    from kamu_assets.datasets.chains import ChainBlock
    from kamu_assets.datasets.model import DatasetSummary

# Columns that a terminal needs for the watermark beside the others.
_WIDE = 110


def register(app: typer.Typer) -> None:
    app.command("list")(list_datasets)
    app.command()(log)
    app.command()(adopt)


def list_datasets(
    wide: Annotated[bool, typer.Option("--wide", "-w", help="all columns, also where they do not fit")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List all datasets."""
    with local_node(home) as node:
        summaries = node.datasets.summaries(node.auth.admin_caller())
    if as_json:
        print_json([_facts(summary) for summary in summaries])
    elif not summaries:
        remark(f"no datasets in {node.settings.home}; --home or KAMU_NODE_HOME names another node")
    else:
        columns = ("name", "kind", "records", "size", "head", "updated")
        more = ("watermark",) if wide or has_room(_WIDE) else ()
        print_rows([_shown(summary) for summary in summaries], columns=(*columns, *more))


def log(
    dataset: Dataset,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="so many blocks at most")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the metadata chain of a dataset, newest block first."""
    from itertools import islice

    from kamu_assets.odf.identity import parse_dataset_ref
    from kamu_assets.odf.serde.yaml import block_to_json

    with local_node(home) as node:
        chain = node.datasets.log(node.auth.admin_caller(), parse_dataset_ref(dataset))
        blocks = islice(chain, limit)
        if as_json:
            print_json([{"blockHash": str(found.block_hash), "block": block_to_json(found.block)} for found in blocks])
        else:
            for found in blocks:
                say(_block_text(found))


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
    from kamu_api.cli.adopting import adopt_directory

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


def _block_text(found: "ChainBlock") -> str:
    import yaml

    from kamu_assets.odf.serde.yaml import event_to_json

    block = found.block
    head = {"block": block.sequence_number, "hash": str(found.block_hash), "systemTime": str(block.system_time)}
    document = {**head, "event": event_to_json(block.event)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
