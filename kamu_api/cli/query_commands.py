"""Data that goes out: ask, look at the end."""

from typing import Annotated

import typer

from kamu_api.cli.options import AsJson, Dataset, Home, local_node, the_dataset

Format = Annotated[str, typer.Option("--format", "-o", help="table, json, ndjson or csv")]


def register(app: typer.Typer) -> None:
    app.command()(sql)
    app.command()(tail)


def sql(
    query: Annotated[str | None, typer.Argument(help="a query; default: read it from standard input")] = None,
    format_: Format = "table",
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=0, help="so many rows at most")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask in SQL (DataFusion's dialect); datasets are tables named "account/name" or "name"."""
    from kamu_api.cli.answers import is_for_people, known_format, print_answer, query_text, tell_if_cut
    from kamu_assets.query.eager_workers import workers_begun
    from kamu_assets.query.model import DataFormat, QueryRequest

    form = known_format(format_, as_json=as_json)
    text = query_text(query)
    with workers_begun(), local_node(home) as node:
        wanted = node.settings.query.max_rows if limit is None else limit
        request = QueryRequest(text, limit=wanted, data_format=DataFormat.JSON_AOA, keeps_nan=is_for_people(form))
        answer = node.query.query(node.auth.admin_caller(), request)
    print_answer(answer, form)
    tell_if_cut(answer)


def tail(
    *,
    dataset: Dataset,
    count: Annotated[int, typer.Option("-n", "--count", min=0, help="so many rows")] = 10,
    skip: Annotated[int, typer.Option("--skip", min=0, help="leave out so many of the newest")] = 0,
    format_: Format = "table",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest rows of a dataset."""
    from kamu_api.cli.answers import is_for_people, known_format, print_answer
    from kamu_assets.query.eager_workers import workers_begun
    from kamu_assets.query.model import DataFormat

    form = known_format(format_, as_json=as_json)
    with workers_begun(), local_node(home) as node:
        answer = node.query.tail(
            node.auth.admin_caller(),
            the_dataset(node, dataset).id,
            skip=skip,
            limit=count,
            data_format=DataFormat.JSON_AOA,
            keeps_nan=is_for_people(form),
        )
    print_answer(answer, form)
