"""Asks before something is gone for good: the same way for every command that does so."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.output import remark, say_aside

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetEntry

Yes = Annotated[bool, typer.Option("--yes", "-y", help="without asking")]


def require_consent(
    context: typer.Context, doomed: "Sequence[DatasetEntry]", *, yes: bool, verb: str, done: str | None = None
) -> None:
    """Go on if somebody agrees that these datasets, or what is in them, end; else exit code 1, 2 where nobody can."""
    # `kamu-node --yes delete …`, as kamu has it.
    if not doomed or yes or context.find_root().params.get("yes"):
        return
    what = f"{verb} {len(doomed)} dataset(s)"
    if not sys.stdin.isatty():
        raise MisuseError(f"to {what} needs a yes: add --yes")
    for entry in doomed:
        say_aside(f"{entry.alias} ({entry.kind.value})")
    if not _answered_yes(f"{what.capitalize()} for good?"):
        remark(f"nothing was {done or f'{verb}d'}")
        raise typer.Exit(1)


def _answered_yes(question: str) -> bool:
    """Asked on standard error: standard output is the answer's, even the echo of a prompt would be too much."""
    say_aside(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
