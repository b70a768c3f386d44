"""Commands under the names that people know from kamu and from shells; help tells only our own."""

from importlib.metadata import version as version_of

import typer

from kamu_api.cli.change_commands import delete, rename
from kamu_api.cli.dataset_commands import list_datasets
from kamu_api.cli.options import AsJson
from kamu_api.cli.output import print_json, say
from kamu_api.cli.show_commands import show


def register(app: typer.Typer) -> None:
    app.command("describe", hidden=True)(show)
    app.command("ls", hidden=True)(list_datasets)
    app.command("mv", hidden=True)(rename)
    app.command("rm", hidden=True)(delete)
    app.command(hidden=True)(version)


def version(as_json: AsJson = False) -> None:
    """Print the version; the same as --version."""
    if as_json:
        print_json({"version": version_of("kamu-node")})
    else:
        say(f"kamu-node {version_of('kamu-node')}")
