"""The node as a whole: start, stop, prepare, migrate, repair."""

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.node import status_commands
from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import console, print_json, progress_bar, say

if TYPE_CHECKING:
    from kamu_assets.settings import Settings


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(init)
    status_commands.register(app)
    app.command()(migrate)
    app.command()(doctor)


def up(
    home: Home = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="return once the node is ready")] = False,
    as_json: AsJson = False,
) -> None:
    """Start the node: every process under one supervisor, until Ctrl-C."""
    from kamu_api.cli.node.startup import run_node, start_detached
    from kamu_assets.settings import load_settings

    settings = load_settings(home)
    if as_json and not detach:
        raise MisuseError("--json goes with --detach: a node that stays in front prints its log")
    if as_json:
        with redirect_stdout(sys.stderr):
            start_detached(settings)
        print_json(_addresses(settings))
    elif detach:
        start_detached(settings)
    else:
        run_node(settings)


def down(home: Home = None, as_json: AsJson = False) -> None:
    """Stop the node that runs in this home."""
    from kamu_api.cli.node.startup import stop_node
    from kamu_assets.settings import load_settings

    settings = load_settings(home)
    has_run = stop_node(settings)
    if as_json:
        print_json({"home": str(settings.home), "result": "stopped" if has_run else "not-running"})
    else:
        say("the node has stopped" if has_run else f"no node is running in {settings.home}")


def init(home: Home = None, as_json: AsJson = False) -> None:
    """Prepare a home: folders, database, admin account and token."""
    with local_node(home) as node:
        folder, token = node.settings.home, node.settings.keys_path / "admin.token"
    if as_json:
        print_json({"home": str(folder), "tokenFile": str(token)})
    else:
        say(f"The node's home is {folder}")
        say(f"The admin token is in {token}")


def migrate(home: Home = None, as_json: AsJson = False) -> None:
    """Bring the node's database to this version. `up` and `init` do it by themselves."""
    with local_node(home) as node:
        folder = node.settings.home
    if as_json:
        print_json({"home": str(folder), "result": "up-to-date"})
    else:
        say("the database is up to date")


def doctor(
    home: Home = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, change nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Repair what a crash or a lost database left behind, and say what was done."""
    with local_node(home, repair=False) as node:
        with progress_bar("examining datasets", quiet=as_json) as line:
            findings = node.doctor.repair(
                dry_run=dry_run, on_progress=lambda done, total: line.update(done=done, total=total)
            )
        # After the repair: those that were registered again have a name, too.
        aliases = {entry.id: str(entry.alias) for entry in node.datasets.list(node.auth.admin_caller())}
        if as_json:
            print_json(
                [
                    {
                        "kind": f.kind,
                        "dataset": str(f.dataset),
                        "alias": aliases.get(f.dataset) if f.dataset else None,
                        "message": f.message,
                        "repaired": f.repaired,
                    }
                    for f in findings
                ]
            )
            return
        for finding in findings:
            place = str(finding.dataset or "node")
            if finding.dataset in aliases:
                place = f"{aliases[finding.dataset]} ({place})"
            console.print(f"{place}: {finding.message}", markup=False, highlight=False)
        console.print(f"{len(findings)} finding(s)" if findings else "nothing to repair")


def _addresses(settings: "Settings") -> dict[str, str]:
    return {
        "home": str(settings.home),
        "result": "started",
        "api": f"http://{settings.http.host}:{settings.http.port}",
        "dagster": f"http://{settings.dagster.host}:{settings.dagster.webserver_port}",
        "tokenFile": str(settings.keys_path / "admin.token"),
    }
