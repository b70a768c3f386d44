"""Commands under the names that people know from kamu and from shells; help tells only our own."""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from kamu_api.cli.datasets.change_commands import delete, rename
from kamu_api.cli.datasets.dataset_commands import list_datasets
from kamu_api.cli.datasets.show_commands import show
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson
from kamu_api.cli.output import print_json, say

# Commands of kamu that a node does not have, and what there is instead.
_ELSEWHERE: Final = {
    "login": "commands on this machine need no login, others the token that `kamu-node init` names",
    "logout": "commands on this machine need no login",
    "notebook": None,
    "push": None,
    "repo": None,
    "search": "`kamu-node list %word%` finds datasets by their names",
    "system": "`kamu-node status` says how the node is, `kamu-node up` starts it, `kamu-node compact` compacts",
    "ui": "`kamu-node up` starts the node and says where it can be looked at",
}


class Commands(TyperGroup):
    """Ours; whoever types one that only kamu has is told so."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names."""
        if args and args[0] in _ELSEWHERE:
            instead = _ELSEWHERE[args[0]]
            raise MisuseError(f"kamu has a command {args[0]!r}, this node has none{f': {instead}' if instead else ''}")
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    app.command("describe", hidden=True)(show)
    app.command("ls", hidden=True)(list_datasets)
    app.command("mv", hidden=True)(rename)
    app.command("rm", hidden=True)(delete)
    app.command(hidden=True)(version)


def version(as_json: AsJson = False) -> None:
    """Print the version; the same as --version."""
    from importlib.metadata import version as version_of

    if as_json:
        print_json({"version": version_of("kamu-node")})
    else:
        say(f"kamu-node {version_of('kamu-node')}")
