"""Data that goes out: ask, look at the end, export."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from kamu_api.cli.completing import dataset_names
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Dataset, Home, local_node, the_dataset
from kamu_api.cli.output import print_json, progress_bar, say

Format = Annotated[
    str,
    typer.Option(
        "--format",
        "--output-format",
        "-o",
        help="table, csv, json, json-soa, json-aoa, ndjson, markdown, and parquet for files",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what is there")]


def register(app: typer.Typer) -> None:
    app.command()(sql)
    app.command()(tail)
    app.command()(export)


def sql(
    *,
    query: Annotated[
        str | None, typer.Argument(help="queries; default: a prompt, or what standard input says", show_default=False)
    ] = None,
    command: Annotated[
        str | None, typer.Option("--command", "-c", help="the queries, as kamu takes them", show_default=False)
    ] = None,
    script: Annotated[Path | None, typer.Option("--script", help="a file of queries", show_default=False)] = None,
    format_: Format = "table",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=0, help="so many rows at most")] = None,
    output_path: Annotated[
        Path | None, typer.Option("--output-path", help="a file for the answer, instead of standard output")
    ] = None,
    overwrite: Overwrite = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask in SQL (DataFusion's dialect); datasets are tables named "account/name" or "name".

    Without a query there is a prompt, with history and completion. --json: one document per query, each on its line.
    """
    from kamu_api.cli.query.answers import file_text, input_text, known_format
    from kamu_api.cli.query.asking import Asking
    from kamu_api.cli.query.statements import all_statements
    from kamu_assets.query.eager_workers import workers_begun

    form = known_format(format_, as_json=as_json)
    texts = (query, command, None if script is None else file_text(script))
    given = [text for text in texts if text is not None]
    if len(given) > 1:
        raise MisuseError("give queries once: as an argument, with --command or with --script")
    prompts = not given and sys.stdin.isatty()
    statements = [] if prompts else all_statements(given[0] if given else input_text())
    if not prompts and not statements:
        raise MisuseError("there is no query: give one, or statements on standard input")
    if output_path is not None and len(statements) != 1:
        raise MisuseError(f"--output-path is for the answer to one query, not to {len(statements)}")
    with workers_begun(), local_node(home) as node:
        asking = Asking(node, form, limit=limit)
        if prompts:
            from kamu_api.cli.query.sql_prompt import SqlPrompt

            SqlPrompt(node, asking).run()
        elif output_path is not None:
            records = asking.write(statements[0], output_path, overwrite=overwrite)
            say(f"{output_path}: {records:,} record(s)")
        else:
            for statement in statements:
                asking.print(statement)


def tail(
    *,
    dataset: Dataset,
    count: Annotated[int, typer.Option("--count", "--num-records", "-n", min=0, help="so many rows")] = 10,
    skip: Annotated[
        int, typer.Option("--skip", "--skip-records", "-s", min=0, help="leave out so many of the newest")
    ] = 0,
    format_: Format = "table",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest rows of a dataset."""
    from kamu_api.cli.query.answers import is_for_people, print_answer, printable_format
    from kamu_assets.query.eager_workers import workers_begun
    from kamu_assets.query.history.model import Door, Origin
    from kamu_assets.query.model import DataFormat

    form = printable_format(format_, as_json=as_json)
    with workers_begun(), local_node(home) as node:
        answer = node.query.tail(
            node.auth.admin_caller(),
            the_dataset(node, dataset).id,
            skip=skip,
            limit=count,
            data_format=DataFormat.JSON_AOA,
            keeps_nan=is_for_people(form),
            origin=Origin(Door.CLI_TAIL),
        )
    print_answer(answer, form)


def export(
    *,
    dataset: Annotated[
        str | None,
        typer.Argument(help="name, account/name or did:odf:…", show_default=False, autocompletion=dataset_names),
    ] = None,
    query: Annotated[str | None, typer.Option("--query", help="rows of this query instead of a dataset")] = None,
    output_format: Annotated[
        str, typer.Option("--output-format", "--format", "-o", help="parquet, csv, ndjson, or json: one array")
    ] = "parquet",
    output_path: Annotated[
        Path | None, typer.Option("--output-path", help="the file; default: the name of the dataset, in this folder")
    ] = None,
    records_per_file: Annotated[
        int | None, typer.Option("--records-per-file", min=1, help="a folder of files with so many records each")
    ] = None,
    overwrite: Overwrite = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write all rows of a dataset or a query to a file, whole or not at all."""
    from kamu_api.cli.query.exporting import Exporting, exported_line, known_export_format
    from kamu_assets.query.eager_workers import workers_begun

    form = known_export_format(output_format)
    if (dataset is None) == (query is None):
        raise MisuseError("name a dataset, or give a query with --query")
    if output_path is None and dataset is None:
        raise MisuseError("say with --output-path where the rows of a query are to go")
    title = f"exporting {dataset or 'an answer'}"
    with workers_begun(), local_node(home) as node, progress_bar(title, quiet=as_json) as progress:
        exporting = Exporting(node, form, overwrite=overwrite, progress=progress)
        entry = None if dataset is None else the_dataset(node, dataset)
        sql = query or "" if entry is None else exporting.query_of(entry)
        name = "" if entry is None else str(entry.name)
        target = output_path or Path(name if records_per_file else f"{name}.{form}")
        row = exporting.export(sql, target, records_per_file=records_per_file)
    if as_json:
        print_json(row)
    else:
        say(exported_line(row))
