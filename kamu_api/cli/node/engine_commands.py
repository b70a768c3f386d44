"""Engines: what they compute, and how other coordinators use ours."""

import sys
from typing import Annotated, Literal

import typer

from kamu_api.cli.options import AsJson, Home
from kamu_api.cli.output import print_json, say

engine = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(engine, name="engine")


@engine.callback()
def group() -> None:
    """What engines compute, and how to serve one.

    The setting engine.names says which of them runs what a manifest names.

    datafusion: any query of DataFusion's SQL, over the records that are new.

    incremental: keeps state between runs, and reads the SQL of Flink, RisingWave and Spark. It computes
    SELECT … WHERE of one input;
    GROUP BY TUMBLE(<event time>, INTERVAL …), or over TABLE(TUMBLE(…)), with count, sum, min, max, avg,
    first_value and last_value;
    LEFT or inner JOIN … FOR SYSTEM_TIME AS OF, or LATERAL TABLE(…), with a temporal table.

    grpc://host:port: another process that speaks ODF's engine protocol, such as `kamu-node engine serve`.
    """


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
    as_json: AsJson = False,
) -> None:
    """Serve ODF's engine protocol (gRPC `engine.Engine`) until Ctrl-C."""
    from kamu_assets.node import engine_server
    from kamu_assets.settings import load_settings

    with engine_server(load_settings(home), kind, host=host, port=port) as server:
        if as_json:
            print_json({"engine": kind, "host": host, "port": server.port})
        else:
            say(f"engine {kind} listens on {host}:{server.port}")
        # Whoever waits for it to listen reads this first.
        sys.stdout.flush()
        server.wait()
