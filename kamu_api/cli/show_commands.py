"""Looking at datasets one by one."""

import typer

from kamu_api.cli.options import AsJson, Home, Names, local_node
from kamu_api.cli.output import print_json, say


def register(app: typer.Typer) -> None:
    app.command()(show)


def show(datasets: Names, home: Home = None, as_json: AsJson = False) -> None:
    """Describe datasets: identity, source or query, columns, sizes, watermark, inputs and who reads them."""
    from kamu_api.cli.describing import description_facts, description_lines

    with local_node(home) as node:
        caller = node.auth.admin_caller()
        found = [node.datasets.describe(caller, each.id) for each in node.datasets.select(caller, datasets)]
    if as_json:
        print_json([description_facts(each) for each in found])
        return
    for number, each in enumerate(found):
        if number:
            say("")
        for line in description_lines(each):
            say(line)
