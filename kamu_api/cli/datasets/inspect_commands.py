"""What is inside of datasets and between them: lineage, queries, schemas."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kamu_api.cli.options import AsJson, Dataset, Home, SomeNames, local_node, the_dataset
from kamu_api.cli.output import print_json, remark, say

if TYPE_CHECKING:
    from kamu_assets.datasets.lineage.graph import LineageGraph
    from kamu_assets.odf.identity import DatasetID

LineageFormat = Annotated[
    Literal["text", "shell", "mermaid", "html"],
    typer.Option("--output-format", "-o", help="text (also called shell), a Mermaid flowchart, or a page to save"),
]
SchemaFormat = Annotated[
    Literal["ddl", "arrow-json", "odf-json", "odf-yaml", "parquet", "parquet-json"],
    typer.Option("--output-format", "-o", help="how to write it"),
]


def register(app: typer.Typer) -> None:
    inspect = typer.Typer(no_args_is_help=True, help="What is inside of datasets and between them.")
    inspect.command()(lineage)
    inspect.command()(query)
    inspect.command()(schema)
    app.add_typer(inspect, name="inspect")


def lineage(
    datasets: SomeNames = None, form: LineageFormat = "text", home: Home = None, as_json: AsJson = False
) -> None:
    """Show what datasets are computed from, or how all of them hang together.

    `kamu-node inspect lineage -o html > lineage.html` makes a page that needs no network.
    """
    from kamu_api.cli.datasets.lineage_text import lineage_facts, tops_of

    with local_node(home) as node:
        caller = node.auth.admin_caller()
        graph = node.datasets.lineage(caller)
        tops = [entry.id for entry in node.datasets.select(caller, datasets)] if datasets else tops_of(graph)
    shown = graph.upstream(tops)
    if as_json:
        print_json(lineage_facts(shown))
    elif shown.entries or form == "html":
        _print_lineage(shown, tops, form)
    else:
        remark("no datasets; --home or KAMU_NODE_HOME names another node")


def query(dataset: Dataset, home: Home = None, as_json: AsJson = False) -> None:
    """Print the SQL of a dataset step by step: of its transform, or of what its sources do before they merge."""
    from kamu_api.cli.query.text import query_facts, query_lines

    with local_node(home) as node:
        found = node.datasets.describe(node.auth.admin_caller(), the_dataset(node, dataset).id)
    facts = query_facts(found)
    if as_json:
        print_json(facts)
        return
    if not facts:
        remark(f"{found.entry.alias} has no query: it keeps what its source reads")
    for line in query_lines(facts):
        say(line)


def schema(dataset: Dataset, form: SchemaFormat = "ddl", home: Home = None, as_json: AsJson = False) -> None:
    """Print the columns of a dataset; --json is -o odf-json."""
    from kamu_api.cli.datasets.schema_text import schema_text

    with local_node(home) as node:
        found = node.datasets.describe(node.auth.admin_caller(), the_dataset(node, dataset).id)
    if found.schema is None:
        remark(f"{found.entry.alias} has no columns before its first data")
        if as_json:
            print_json(None)
        return
    if as_json:
        print_json(json.loads(schema_text(found.schema, "odf-json")))
    else:
        say(schema_text(found.schema, form))


def _print_lineage(graph: "LineageGraph", tops: "list[DatasetID]", form: str) -> None:
    from kamu_api.cli.datasets.lineage_html import lineage_page
    from kamu_api.cli.datasets.lineage_text import mermaid_lines, tree_lines

    if form == "html":
        sys.stdout.write(lineage_page(graph))
        return
    for line in mermaid_lines(graph) if form == "mermaid" else tree_lines(graph, tops):
        say(line)
