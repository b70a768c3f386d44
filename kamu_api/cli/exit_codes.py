"""What the exit codes of all commands mean, told at the end of every help."""

import typer

_EXIT_CODES = (
    "Exit codes: 0 all was done; 1 something failed, if only one of many; 2 the command makes no sense; "
    "130 Ctrl-C ended it; 141 nobody read what it printed"
)


def tell_exit_codes(app: typer.Typer) -> None:
    """Say so in the help of the program, its groups and their commands."""
    app.info.epilog = _EXIT_CODES
    for command in app.registered_commands:
        command.epilog = _EXIT_CODES
    for group in app.registered_groups:
        group.epilog = _EXIT_CODES
        if group.typer_instance is not None:
            tell_exit_codes(group.typer_instance)
