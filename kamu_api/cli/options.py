"""Options that many commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kamu_assets.node import Node

Home = Annotated[
    Path | None, typer.Option("--home", envvar="KAMU_NODE_HOME", help="the node's folder; default: ~/.kamu-node")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts")]
Dataset = Annotated[str, typer.Argument(help="name, account/name or did:odf:…", show_default=False)]


@contextmanager
def local_node(home: Path | None, *, repair: bool = True) -> "Iterator[Node]":
    """The node in `home`, made first if it does not exist; commands work beside a running node and without one.

    `repair` finishes commits that a crash interrupted.
    """
    from kamu_assets.monitoring.logs import configure_logging
    from kamu_assets.node import open_node
    from kamu_assets.settings import load_settings

    # Standard output belongs to the command's answer.
    configure_logging("cli", level="WARNING", stream=sys.stderr)
    node = open_node(load_settings(home), repair=repair)
    try:
        yield node
    finally:
        node.close()
