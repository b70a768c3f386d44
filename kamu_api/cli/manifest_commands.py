"""Manifests: what datasets are made from."""

from typing import Annotated

import typer

from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import complain, print_json, say

Manifests = Annotated[
    list[str] | None, typer.Argument(help="files with DatasetSnapshot manifests, or folders", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command()(add)


def add(
    *,
    manifests: Manifests = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="search folders for manifests")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="read manifests from standard input")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="delete datasets of these names first, with all of their data")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add datasets from manifests; those that others read are added first, existing ones are left alone.

    A file with a bad manifest adds nothing; other files do.
    """
    from kamu_api.cli.adding import Adding, added_line
    from kamu_api.cli.manifests import read_manifests

    files = read_manifests(manifests or [], recursive=recursive, stdin=stdin)
    with local_node(home) as node:
        rows = list(Adding(node, replace=replace).rows(files))
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            (complain if row["result"] == "failed" else say)(added_line(row))
        added = sum(row["result"] in ("added", "replaced") for row in rows)
        say(f"Added {added} dataset(s)" if added else "Nothing was added")
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)
