"""The metadata chain of a dataset, block by block."""

from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Dataset, Home, local_node, the_dataset
from kamu_api.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kamu_assets.datasets.chains.chains import ChainBlock
    from kamu_assets.odf.serde.flatbuffers import EventKind

# No chain is longer, and nothing in Python counts further.
_ALL: Final = 2**63 - 1


def register(app: typer.Typer) -> None:
    app.command()(log)


def log(
    *,
    dataset: Dataset,
    form: Annotated[
        Literal["shell", "yaml"], typer.Option("--output-format", "-o", help="for people, or manifests of the blocks")
    ] = "shell",
    kinds: Annotated[
        list[str] | None,
        typer.Option("--filter", "-f", help="only events of this kind, such as AddData; may be repeated"),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="so many blocks at most")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the metadata chain of a dataset, newest block first; on a terminal through $PAGER."""
    from itertools import islice

    from kamu_api.cli.paging import page
    from kamu_assets.odf.serde.yaml import block_to_json

    wanted = _event_kinds(kinds) if kinds else None
    write = _manifest_text if form == "yaml" else _block_text
    with local_node(home) as node:
        chain = node.datasets.log(node.auth.admin_caller(), the_dataset(node, dataset).id, kinds=wanted)
        blocks = islice(chain, None if limit is None else min(limit, _ALL))
        if as_json:
            print_json([{"blockHash": str(found.block_hash), "block": block_to_json(found.block)} for found in blocks])
        else:
            page(write(found) for found in blocks)


def _event_kinds(texts: "Sequence[str]") -> "list[EventKind]":
    """Kinds in any case, several in one text with commas between them."""
    from kamu_assets.odf.serde.flatbuffers import EventKind

    known = {kind.name.title().replace("_", ""): kind for kind in EventKind}
    folded = {name.lower(): kind for name, kind in known.items()}
    asked = [word.strip() for text in texts for word in text.split(",")]
    for word in asked:
        if word.lower() not in folded:
            raise MisuseError(f"no events are of the kind {word!r}; there are {', '.join(known)}")
    return [folded[word.lower()] for word in asked]


def _block_text(found: "ChainBlock") -> str:
    import yaml

    from kamu_assets.odf.serde.yaml import event_to_json

    block = found.block
    head = {"block": block.sequence_number, "hash": str(found.block_hash), "systemTime": str(block.system_time)}
    document = {**head, "event": event_to_json(block.event)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def _manifest_text(found: "ChainBlock") -> str:
    """A document of a YAML stream, which other ODF software reads; the hash is none of its fields."""
    from kamu_assets.odf.serde.yaml import dump_block

    return f"---\n# block {found.block_hash}\n{dump_block(found.block)}".rstrip()
