"""Engines of ours for other coordinators."""

from typing import Annotated, Literal

import typer

from kamu_api.cli.options import Home
from kamu_api.cli.output import say

engine = typer.Typer(help="Engines for other ODF coordinators.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(engine, name="engine")


@engine.callback()
def group() -> None:
    """Engines for other ODF coordinators."""


@engine.command()
def serve(
    kind: Annotated[
        Literal["datafusion", "incremental"], typer.Option("--engine", help="what executes the queries")
    ] = "datafusion",
    host: Annotated[
        str, typer.Option(help="address to listen on; callers are not asked who they are and name files to read")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0: any free one")] = 2884,
    home: Home = None,
) -> None:
    """Serve ODF's engine protocol (gRPC `engine.Engine`) until Ctrl-C."""
    from kamu_assets.node import engine_server
    from kamu_assets.settings import load_settings

    with engine_server(load_settings(home), kind, host=host, port=port) as server:
        say(f"engine {kind} listens on {host}:{server.port}")
        server.wait()
