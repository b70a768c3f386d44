"""Data that comes in: pull, ingest."""

from pathlib import Path
from typing import Annotated

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Dataset, Home, SomeNames, local_node, moment
from kamu_api.cli.output import complain, print_json, progress_bar, say

Files = Annotated[list[Path] | None, typer.Argument(help="files to push", show_default=False)]


def register(app: typer.Typer) -> None:
    app.command()(pull)
    app.command()(ingest)


def pull(
    *,
    datasets: SomeNames = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="all datasets that have something to pull")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="pull what the datasets are computed from as well")
    ] = False,
    fetch_uncacheable: Annotated[
        bool, typer.Option("--fetch-uncacheable", help="read sources again that cannot tell what is new")
    ] = False,
    reset_derivatives: Annotated[
        bool,
        typer.Option(
            "--reset-derivatives-on-diverged-input",
            help="compute derivatives anew whose inputs were reset or compacted",
        ),
    ] = False,
    set_watermark: Annotated[
        str | None,
        typer.Option("--set-watermark", help="instead of pulling: data of a root is complete up to this RFC 3339 time"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Poll the sources of root datasets, compute derivative ones; inputs come before what reads them."""
    from kamu_api.cli.datasets.pulling import HowToPull, Pulling, pull_line
    from kamu_api.cli.next_steps import tell_after_data

    if bool(datasets) == all_:
        raise MisuseError("name datasets, or use --all")
    if set_watermark and (all_ or recursive):
        raise MisuseError("--set-watermark is for datasets that are named, not for --all or --recursive")
    watermark = moment("--set-watermark", set_watermark)
    with local_node(home) as node:
        how = HowToPull(fetch_uncacheable=fetch_uncacheable, reset_derivatives=reset_derivatives, watermark=watermark)
        pulling = Pulling(node, how)
        rows = []
        for entry in pulling.in_order(datasets, recursive=recursive):
            with progress_bar(f"pulling {entry.alias}", quiet=as_json) as progress:
                row = pulling.pull(entry, progress)
            rows.append(row)
            if not as_json:
                (complain if row["result"] == "failed" else say)(pull_line(row))
                tell_after_data(node, entry, row.get("records", 0))
    if as_json:
        print_json(rows)
    if any(row["result"] == "failed" for row in rows):
        raise typer.Exit(1)


def ingest(
    *,
    dataset: Dataset,
    files: Files = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="push standard input")] = False,
    source_name: Annotated[str | None, typer.Option("--source-name", help="which push source of the dataset")] = None,
    event_time: Annotated[
        str | None, typer.Option("--event-time", help="RFC 3339 time of rows without one; default: now")
    ] = None,
    input_format: Annotated[
        str | None, typer.Option("--input-format", help="csv, json, ndjson, geojson, ndgeojson, parquet")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Push files into a root dataset, one after the other; each is durable before the next begins."""
    from kamu_api.cli.datasets.pushing import Pushing, push_line
    from kamu_api.cli.next_steps import tell_after_data

    if bool(files) == stdin:
        raise MisuseError("name files, or use --stdin")
    with local_node(home) as node:
        pushing = Pushing(node, dataset, source_name=source_name, event_time=event_time, input_format=input_format)
        rows = []
        with progress_bar(f"pushing to {dataset}", quiet=as_json) as progress:
            try:
                for row in pushing.push_all(files or [], stdin=stdin, progress=progress):
                    rows.append(row)
                    if not as_json:
                        say(push_line(row))
            finally:
                # What was pushed before a refusal stays.
                if as_json:
                    print_json(rows)
        if not as_json:
            tell_after_data(node, pushing.entry, sum(row["records"] for row in rows))
