"""Datasets go back to what they were."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Dataset, Home, block_hash, local_node, the_dataset
from kamu_api.cli.output import print_json, say

if TYPE_CHECKING:
    from kamu_assets.coordinator.results import ReorganizationResult


def register(app: typer.Typer) -> None:
    app.command()(reset)


def reset(
    *,
    context: typer.Context,
    dataset: Dataset,
    block: Annotated[
        str | None,
        typer.Argument(help="hash of the block that becomes the head, as `log` shows it", show_default=False),
    ] = None,
    to_seed: Annotated[bool, typer.Option("--to-seed", help="leave nothing but the first block")] = False,
    to_metadata: Annotated[
        bool, typer.Option("--to-metadata", help="drop all rows, keep everything else that is said of the dataset")
    ] = False,
    old_head: Annotated[
        str | None, typer.Option("--old-head", metavar="HASH", help="only if this is the head now")
    ] = None,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take back what came after a block; datasets computed from it refuse to go on until they are reset as well."""
    from kamu_assets.coordinator.resetting import ResetOptions

    if [block is not None, to_seed, to_metadata].count(True) != 1:
        raise MisuseError("name a block to go back to, or use --to-seed or --to-metadata")
    if old_head is not None and to_metadata:
        raise MisuseError("--old-head is for resets to a block")
    options = ResetOptions(new_head=block_hash("BLOCK", block), old_head=block_hash("--old-head", old_head))
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        entry = the_dataset(node, dataset)
        require_consent(context, [entry], yes=yes, verb="reset", done="reset")
        if to_metadata:
            result = node.reorganization.reset_to_metadata(caller, entry.id)
        else:
            result = node.reorganization.reset(caller, entry.id, options)
    row = {"dataset": str(entry.alias), **reorganization_facts(result, done="reset")}
    if as_json:
        print_json(row)
    elif row["result"] == "reset":
        say(f"{entry.alias}: reset, {row['resultingBlocks']} of {row['originalBlocks']} block(s) are left")
    else:
        say(f"{entry.alias}: nothing to do, {'it has no rows' if to_metadata else 'that block is its head already'}")


def reorganization_facts(result: "ReorganizationResult", *, done: str) -> dict[str, Any]:
    """What became of a chain, for scripts."""
    from kamu_assets.coordinator.results import NothingToDo

    if isinstance(result, NothingToDo):
        return {"result": "nothing-to-do"}
    return {
        "result": done,
        "oldHead": str(result.old_head),
        "newHead": str(result.new_head),
        "originalBlocks": result.original_blocks,
        "resultingBlocks": result.resulting_blocks,
    }
