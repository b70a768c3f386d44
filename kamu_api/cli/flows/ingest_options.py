"""How sources are polled, as commands are told."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kamu_assets.flows.arguments import IngestArguments

NextIteration = Annotated[
    bool | None,
    typer.Option(
        "--fetch-next-iteration/--no-fetch-next-iteration",
        help="one slice per run, and another run at once while there is more, or none; default: all in one run",
        show_default=False,
    ),
]


def ingest_arguments(*, fetch_uncacheable: bool, fetch_next_iteration: bool | None) -> "IngestArguments | None":
    """None where nothing was said."""
    from kamu_assets.flows.arguments import IngestArguments

    if not fetch_uncacheable and fetch_next_iteration is None:
        return None
    return IngestArguments(fetch_uncacheable, fetch_next_iteration)
