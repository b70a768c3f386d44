"""Manifests: what datasets are made from. Write one to begin with, add datasets."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.completing import dataset_names
from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import complain, print_json, say, warn

if TYPE_CHECKING:
    from kamu_assets.node import Node

Manifests = Annotated[
    list[str] | None, typer.Argument(help="files with DatasetSnapshot manifests, or folders", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command()(add)
    app.command("new")(new)


def add(
    *,
    context: typer.Context,
    manifests: Manifests = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="search folders for manifests")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="read manifests from standard input")] = False,
    name: Annotated[str | None, typer.Option("--name", help="another name than the one manifest says")] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="delete datasets of these names first, with all of their data, triggers, configurations and webhooks",
        ),
    ] = False,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add datasets from manifests; those that others read are added first, existing ones are left alone.

    A file with a bad manifest adds nothing; other files do.
    """
    from kamu_api.cli.datasets.adding import Adding
    from kamu_api.cli.datasets.manifests import read_manifests, renamed

    files = read_manifests(manifests or [], recursive=recursive, stdin=stdin)
    if name is not None:
        files = renamed(files, name)
    with local_node(home) as node:
        adding = Adding(node, replace=replace)
        if replace:
            require_consent(context, adding.replaceable(files), yes=yes, verb="replace")
        rows = list(adding.rows(files))
        if as_json:
            print_json(rows)
        else:
            _tell_added(node, rows)
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def new(
    *,
    name: Annotated[str, typer.Argument(help="how to call the dataset: name or account/name", show_default=False)],
    root: Annotated[bool, typer.Option("--root", help="its data comes from outside; the default")] = False,
    derivative: Annotated[bool, typer.Option("--derivative", help="it is computed from other datasets")] = False,
    sample: Annotated[
        Path | None,
        typer.Option("--from", help="guess source and schema from this file: csv, json, ndjson, parquet, geojson"),
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="what a derivative reads", autocompletion=dataset_names)
    ] = None,
    output_path: Annotated[
        Path | None, typer.Option("--output-path", help="the manifest; default: NAME.yaml in this folder")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="print the manifest instead")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a manifest to begin with, as `add` takes it; comments in it say what may be changed."""
    from kamu_api.cli.datasets import skeletons

    if root and derivative:
        raise MisuseError("a dataset is a root or a derivative")
    if (derivative and sample) or (inputs and not derivative):
        raise MisuseError("a root is made --from a sample, a derivative from each --input")
    if derivative:
        with local_node(home) as node:
            text = skeletons.derivative(node, name, inputs or [])
    elif sample is None:
        text = skeletons.pushed_root(name)
    else:
        with local_node(home) as node:
            text = skeletons.polled_root(node, name, sample)
    target = None if stdout else output_path or Path(f"{name.rpartition('/')[2]}.yaml")
    if target is not None:
        skeletons.save(text, target, overwrite=overwrite)
    if as_json:
        print_json({"dataset": name, "file": None if target is None else str(target), "manifest": text})
    elif target is None:
        say(text.rstrip())
    else:
        say(f"Written: {target}; look into it, then `kamu-node add {shlex.quote(str(target))}`")


def _tell_added(node: "Node", rows: list[dict[str, Any]]) -> None:
    from kamu_api.cli.datasets.adding import added_line
    from kamu_api.cli.next_steps import tell_after_adding

    for row in rows:
        (complain if row["result"] == "failed" else say)(added_line(row))
        if "warning" in row:
            warn(f"{row['dataset']}: {row['warning']}")
    added = sum(row["result"] in ("added", "replaced") for row in rows)
    say(f"Added {added} dataset(s)" if added else "Nothing was added")
    if all(row["result"] != "failed" for row in rows):
        tell_after_adding(node, rows)
