"""Options that many commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.completing import dataset_names
from kamu_api.cli.misuse import MisuseError

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.node import Node
    from kamu_assets.odf.multihash import Multihash
    from kamu_assets.odf.timestamp import Timestamp
    from kamu_assets.settings import Settings

# Datasets that a message names.
_SHOWN = 5

Home = Annotated[
    Path | None, typer.Option("--home", envvar="KAMU_NODE_HOME", help="the node's folder; default: ~/.kamu-node")
]
AsJson = Annotated[bool, typer.Option("--json", help="for scripts: one JSON document, on one line")]
Dataset = Annotated[
    str,
    typer.Argument(
        help="name, account/name, did:odf:… or a pattern with % that one dataset matches",
        show_default=False,
        autocompletion=dataset_names,
    ),
]
Matching = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="name, account/name, did:odf:… or a pattern with %",
        show_default=False,
        autocompletion=dataset_names,
    ),
]
_DATASETS = typer.Argument(
    metavar="DATASETS",
    help="name, account/name, did:odf:… or a pattern with %",
    show_default=False,
    autocompletion=dataset_names,
)
Names = Annotated[list[str], _DATASETS]
SomeNames = Annotated[list[str] | None, _DATASETS]


def moment(option: str, text: str | None) -> "Timestamp | None":
    """The time that an option says, if it says one."""
    from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp

    try:
        return None if text is None else Timestamp.parse(text)
    except InvalidTimestampError as error:
        raise MisuseError(f"{option}: {error}; write 2024-01-31T12:00:00Z") from error


def block_hash(option: str, text: str | None) -> "Multihash | None":
    """The block that an option names, if it names one."""
    from kamu_assets.errors import InvalidError
    from kamu_assets.odf.multihash import Multihash

    try:
        return None if text is None else Multihash.parse(text)
    except InvalidError as error:
        raise MisuseError(f"{option}: {error}") from error


def the_dataset(node: "Node", text: str) -> "DatasetEntry":
    """What a reference means, or a pattern that only one dataset matches."""
    found = node.datasets.select(node.auth.admin_caller(), [text])
    if len(found) > 1:
        shown = ", ".join(str(entry.alias) for entry in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise MisuseError(f"{text!r} matches {shown}{more}: this command takes one dataset")
    return found[0]


def unfinished(node: "Node") -> Path:
    """Notes of files outside of the home that commands are making."""
    return node.settings.run_path / "unfinished"


@contextmanager
def local_node(home: Path | None, *, repair: bool = True) -> "Iterator[Node]":
    """The node in `home`, made first if it does not exist; commands work beside a running node and without one.

    `repair` finishes commits that a crash interrupted.
    """
    from kamu_assets.errors import KamuError
    from kamu_assets.monitoring.logs import configure_logging
    from kamu_assets.settings import load_settings

    # Standard output belongs to the command's answer.
    configure_logging("cli", level="WARNING", stream=sys.stderr)
    node = _opened(load_settings(home), repair=repair)
    try:
        if repair and (notes := unfinished(node)).exists():
            from kamu_api.cli.targets import sweep

            sweep(notes)
        yield node
    except KamuError as error:
        from kamu_api.cli.near_names import with_near_name

        better = with_near_name(node, error)
        if better is error:
            raise
        raise better from error
    finally:
        node.close()


def _opened(settings: "Settings", *, repair: bool) -> "Node":
    """Beside a running node the tables stay as they are: it works with them."""
    from kamu_api.cli.node.home_lock import HomeLock, OtherVersionRunsError
    from kamu_assets.node import OtherVersionError, open_node

    # What is wrong with one that is no folder is told by what it is made of.
    pid = HomeLock(settings.home).owner() if settings.home.is_dir() else None
    try:
        return open_node(settings, repair=repair, migrate=pid is None)
    except OtherVersionError as error:
        if pid is None:
            raise
        raise OtherVersionRunsError(settings.home, pid) from error
