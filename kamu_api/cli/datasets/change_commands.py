"""Datasets change as a whole: delete, rename, reset, compact, collect garbage."""

from typing import Annotated

import typer

from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.datasets import compact_commands, gc_commands, reset_commands
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Dataset, Home, SomeNames, local_node, the_dataset
from kamu_api.cli.output import print_json, say


def register(app: typer.Typer) -> None:
    app.command()(delete)
    app.command()(rename)
    reset_commands.register(app)
    compact_commands.register(app)
    gc_commands.register(app)


def delete(
    *,
    context: typer.Context,
    datasets: SomeNames = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="all datasets of the node")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="delete what is computed from the datasets as well")
    ] = False,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete datasets with all their data, triggers and webhooks: all that are named or none.

    Refused while others are computed from them.
    """
    if bool(datasets) == all_:
        raise MisuseError("name datasets, or use --all")
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        found = node.datasets.list(caller) if all_ else node.datasets.select(caller, datasets or ())
        doomed = node.datasets.plan_deletion(caller, [entry.id for entry in found], recursive=recursive)
        require_consent(context, doomed, yes=yes, verb="delete")
        # What was agreed upon, even if something is new by now.
        deleted = node.datasets.delete_all(caller, [entry.id for entry in doomed])
    if as_json:
        print_json([{"dataset": str(each.alias), "id": str(each.id), "result": "deleted"} for each in deleted])
        return
    for entry in deleted:
        say(f"Deleted: {entry.alias}")
    say(f"Deleted {len(deleted)} dataset(s)" if deleted else "Nothing was deleted")


def rename(
    dataset: Dataset,
    name: Annotated[str, typer.Argument(help="the new name, in the same account", show_default=False)],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a dataset another name; its identity, its data and what is computed from it stay."""
    from kamu_assets.odf.identity import DatasetAlias

    wanted = DatasetAlias.parse(name)
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        old = the_dataset(node, dataset)
        if wanted.account not in {None, old.account}:
            raise MisuseError(f"{old.alias} belongs to {old.account}: another name does not make it {wanted.account}'s")
        new = node.datasets.rename(caller, old.id, wanted.name)
    if as_json:
        print_json({"id": str(new.id), "dataset": str(new.alias), "before": str(old.alias), "result": "renamed"})
    else:
        say(f"Renamed: {old.alias} is {new.alias} now")
