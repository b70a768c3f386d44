"""The commands of `kamu-node`, one module per group."""

import sys
from typing import Annotated

import typer

from kamu_api.cli import completion_commands, other_names
from kamu_api.cli.datasets import (
    change_commands,
    check_commands,
    data_commands,
    dataset_commands,
    inspect_commands,
    log_commands,
    manifest_commands,
    show_commands,
    verify_commands,
)
from kamu_api.cli.exit_codes import tell_exit_codes
from kamu_api.cli.flows import commands as flow_commands
from kamu_api.cli.flows import config_commands as flow_config_commands
from kamu_api.cli.flows import process_commands, trigger_commands
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.node import commands as node_commands
from kamu_api.cli.node import config_commands, engine_commands, outbox_commands
from kamu_api.cli.output import complain, set_manner
from kamu_api.cli.query import commands as query_commands
from kamu_api.cli.query import history_commands as query_history_commands
from kamu_api.cli.webhooks import commands as webhook_commands

app = typer.Typer(
    name="kamu-node",
    cls=other_names.Commands,
    help="An Open Data Fabric node: verifiable datasets, derivations that follow, SQL over all of it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for group in (
    node_commands,
    config_commands,
    manifest_commands,
    dataset_commands,
    show_commands,
    inspect_commands,
    log_commands,
    change_commands,
    data_commands,
    query_commands,
    query_history_commands,
    verify_commands,
    check_commands,
    flow_commands,
    webhook_commands,
    outbox_commands,
    flow_config_commands,
    trigger_commands,
    process_commands,
    engine_commands,
    completion_commands,
    other_names,
):
    group.register(app)
tell_exit_codes(app)


@app.callback(invoke_without_command=True)
def root(
    *,
    version: Annotated[bool, typer.Option("--version", "-V", help="print the version and exit")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ask nothing: the answer is yes")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="answers and failures only: no remarks, no bars")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="plain text, as with NO_COLOR")] = False,
) -> None:
    del yes  # Commands that would ask look for it.
    set_manner(quiet=quiet, no_color=no_color)
    if version:
        from importlib.metadata import version as version_of

        print(f"kamu-node {version_of('kamu-node')}")
        raise typer.Exit


def run() -> None:
    """Run the command; a failure is one message and exit code 1, or 2 where the command makes no sense."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last resort
        # It knows errors of the heart, which no command loads before it needs them.
        from kamu_api.cli.failures import told

        complain(told(error))
        sys.exit(2 if isinstance(error, MisuseError) else 1)
